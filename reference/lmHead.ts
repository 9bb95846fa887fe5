import type { Tensor } from './lib/tensor.js';
import type { LinearWeights } from './lib/weights.js';
import { linear } from './linear.js';

/**
 * The language-model head: scores every token of the vocabulary as the next one. Not tied to the embedding, which is
 * frozen and meaningless: whatever tokens mean to the model on its way out is learned here.
 *
 *     logits[t, v] = x[t] · weight[v] + bias[v]
 *
 * @param x [T, C], normalised
 * @param head weight [V, C], bias [V] or null
 * @returns [T, V]
 * @see golden `linear`
 */
export function lmHead(x: Tensor, head: LinearWeights): Tensor {
  return linear(x, head);
}
