import { checkId } from './lib/checkTokens.js';
import { expectMatrix, rows, tensor, type Float32Tensor } from './lib/tensor.js';

/**
 * Looks up the frozen code of every token. In these models the table was fixed before training and carries no meaning: it
 * only tells tokens apart.
 *
 *     y[t] = table[ids[t]]
 *
 * Bochkov 2025, arXiv 2507.04886.
 *
 * @param ids T token ids, 0 ≤ id < V.
 * @param table [V, E]
 * @returns [T, E], copied bit for bit.
 * @throws InputError if an id is not a row of the table.
 * @see golden `embedding`; PyTorch `nn.Embedding`
 *
 * @example
 * ```ts
 * const table = matrix([[1, -1], [2, 0], [0, 3]]); // V = 3 tokens, E = 2
 * embedding([2, 0], table).data; // => [0, 3, 1, -1]
 * ```
 */
export function embedding(ids: readonly number[], table: Float32Tensor): Float32Tensor {
  expectMatrix('embedding', 'table', table);
  const [V, E] = table.shape;
  const y = tensor([ids.length, E]);
  ids.forEach((id, t) => {
    checkId(id, t, V);
    y.data.set(rows(table, id, id + 1).data, t * E);
  });
  return y;
}
