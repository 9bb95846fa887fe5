import { ShapeError } from './lib/errors.js';
import { expectMatrix, expectVector, show, tensor, type Tensor } from './lib/tensor.js';
import type { LinearWeights } from './lib/weights.js';

/**
 * Mixes the elements of each token's vector: every output is one weighted sum of all inputs. Nearly all the parameters
 * of the model, and nearly all its time, are in here.
 *
 *     y[t, o] = Σₖ x[t, k] · weight[o, k] + bias[o]
 *
 * @param x [T, K]
 * @param layer weight [N, K] in PyTorch's order, bias [N] or null
 * @returns [T, N]; each sum runs in float64 from k = 0 upwards and is rounded once.
 * @throws ShapeError if weight or bias does not match.
 * @see golden `linear`; PyTorch `nn.Linear`
 */
export function linear(x: Tensor, { weight, bias }: LinearWeights): Tensor {
  expectMatrix('linear', 'x', x);
  const [T, K] = x.shape;
  const N = weight.shape[0];
  if (weight.shape.length !== 2 || weight.shape[1] !== K) {
    throw new ShapeError(`linear: weight expects ${K} columns, as x is ${show(x.shape)}; got ${show(weight.shape)}`);
  }
  if (bias) expectVector('linear', 'bias', bias, N);

  const y = tensor([T, N]);
  const a = x.data;
  const w = weight.data;
  // Four outputs at a time: a single sum would wait for each addition before it can begin the next.
  for (let o = 0; o < N; o += 4) {
    const [o0, o1, o2, o3] = [0, 1, 2, 3].map((i) => Math.min(o + i, N - 1)); // past the end: the last one again
    const [w0, w1, w2, w3] = [o0 * K, o1 * K, o2 * K, o3 * K];
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
      const y0 = t * N;
      y.data[y0 + o0] = sum0 + (bias ? bias.data[o0] : 0);
      y.data[y0 + o1] = sum1 + (bias ? bias.data[o1] : 0);
      y.data[y0 + o2] = sum2 + (bias ? bias.data[o2] : 0);
      y.data[y0 + o3] = sum3 + (bias ? bias.data[o3] : 0);
    }
  }
  return y;
}
