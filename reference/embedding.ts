import { checkId } from './lib/checkTokens.js';
import { expectMatrix, rows, tensor, type Tensor } from './lib/tensor.js';

/**
 * Looks up the frozen code of every token. In these models the table was fixed before training and carries no meaning:
 * it only tells tokens apart.
 *
 *     y[t] = table[ids[t]]
 *
 * @param ids T token ids, 0 ≤ id < V.
 * @param table [V, E]
 * @returns [T, E], copied bit for bit.
 * @throws InputError if an id is no row of the table.
 * @see golden `embedding`; PyTorch `nn.Embedding`
 */
export function embedding(ids: readonly number[], table: Tensor): Tensor {
  expectMatrix('embedding', 'table', table);
  const [V, E] = table.shape;
  const y = tensor([ids.length, E]);
  ids.forEach((id, t) => {
    checkId(id, t, V);
    y.data.set(rows(table, id, id + 1).data, t * E);
  });
  return y;
}
