import { ShapeError } from './lib/errors.js';
import { expectMatrix, zerosLike, type Tensor } from './lib/tensor.js';

/**
 * Widens the embedding to the width of the model by repeating each element, so that a table of V × 64 numbers feeds blocks
 * of width 1024.
 *
 *     y[t, c] = x[t, ⌊c / repeats⌋]
 *
 * @param x [T, E]
 * @param repeats C / E, a positive integer; 1 copies.
 * @returns [T, E · repeats], copied bit for bit.
 * @throws ShapeError if `repeats` is not a positive integer.
 * @see golden `repeatInterleave`; PyTorch `torch.repeat_interleave(x, repeats, dim=-1)`
 *
 * @example
 * ```ts
 * repeatInterleave(matrix([[5, 7]]), 3).data; // => [5, 5, 5, 7, 7, 7]
 * ```
 */
export function repeatInterleave(x: Tensor, repeats: number): Tensor {
  expectMatrix('repeatInterleave', 'x', x);
  if (!Number.isInteger(repeats) || repeats < 1) {
    throw new ShapeError(`repeatInterleave: repeats must be a positive integer, got ${repeats}`);
  }
  const [T, E] = x.shape;
  const y = zerosLike(x, [T, E * repeats]);
  for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[Math.floor(i / repeats)];
  return y;
}
