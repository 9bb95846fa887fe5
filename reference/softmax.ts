import { expectMatrix, zerosLike, type Tensor } from './lib/tensor.js';

/**
 * Turns scores into positive weights that sum to 1, in place.
 *
 *     y[i] = e^(x[i] − m) / Σⱼ e^(x[j] − m),  m = maxⱼ x[j]
 *
 * Subtracting the maximum changes nothing in exact arithmetic and keeps the exponentials from overflowing.
 *
 * @param scores float64, as attention keeps them
 * @param length the number of scores, from the first, that take part
 */
export function softmaxInPlace(scores: Float64Array, length: number): void {
  let maximum = -Infinity;
  for (let i = 0; i < length; i++) maximum = Math.max(maximum, scores[i]);
  let sum = 0;
  for (let i = 0; i < length; i++) {
    scores[i] = Math.exp(scores[i] - maximum);
    sum += scores[i];
  }
  for (let i = 0; i < length; i++) scores[i] /= sum;
}

/**
 * The softmax of every row.
 *
 * @param x [rows, columns]
 * @returns [rows, columns]; −∞ becomes exactly 0; a row of −∞ alone becomes NaN, as in PyTorch.
 * @see golden `softmax`; PyTorch `torch.softmax(x, -1)`
 *
 * @example e^0 = 1 and e^(ln 3) = 3 make shares of 1/4 and 3/4.
 * ```ts
 * softmax(matrix([[0, Math.log(3)]])).data; // => [0.25, 0.75]
 * softmax(matrix([[10000, 10000]])).data; // => [0.5, 0.5]
 * ```
 */
export function softmax(x: Tensor): Tensor {
  expectMatrix('softmax', 'x', x);
  const [rows, columns] = x.shape;
  const y = zerosLike(x, [rows, columns]);
  for (let r = 0; r < rows; r++) {
    const row = Float64Array.from(x.data.subarray(r * columns, (r + 1) * columns));
    softmaxInPlace(row, columns);
    y.data.set(row, r * columns);
  }
  return y;
}
