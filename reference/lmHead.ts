import type { Tensor } from './lib/tensor.js';
import type { LinearWeights } from './lib/weights.js';
import { linear } from './linear.js';

/**
 * The language-model head: scores every token of the vocabulary as the next one. It is not tied to the embedding, which is
 * frozen and meaningless, so the model learns here what tokens mean on its way out.
 *
 *     logits[t, v] = x[t] · weight[v] + bias[v]
 *
 * @param x [T, C], normalized
 * @param head weight [V, C], bias [V] or null
 * @returns [T, V]
 * @throws ShapeError if weight or bias does not match.
 * @see golden `linear`
 *
 * @example Three tokens to choose from; the state points towards token 1.
 * ```ts
 * const head = { weight: matrix([[1, 0], [0, 1], [-1, 0]]), bias: null }; // V = 3, C = 2
 * lmHead(matrix([[1, 2]]), head).data; // => [1, 2, -1]
 * ```
 */
export function lmHead(x: Tensor, head: LinearWeights): Tensor {
  return linear(x, head);
}
