import { expectMatrix, expectVector, zerosLike, type Tensor } from './lib/tensor.js';
import type { LayerNormWeights } from './lib/weights.js';

/**
 * Normalizes each token's vector to mean 0 and variance 1, then applies a learned scale and shift. The residual stream of
 * a pre-norm model grows from layer to layer all the same; the norm bounds what each sublayer reads of it.
 *
 *     y = (x − μ) / √(σ² + ε) · weight + bias,  μ and σ² over the C elements of one token, σ² divided by C
 *
 * Ba, Kiros & Hinton 2016, arXiv 1607.06450, section 3.
 *
 * @param x [T, C]
 * @param norm weight [C], bias [C] or null
 * @param eps ε; it also keeps a row of equal values finite, which becomes the bias
 * @returns [T, C]
 * @throws ShapeError if weight or bias does not match C.
 * @see golden `layerNorm`; PyTorch `nn.LayerNorm`
 *
 * @example The mean of 1, 2, 3, 4 is 2.5 and their variance 1.25, so 4 becomes 1.5 / √1.25 = 1.3416.
 * ```ts
 * const ones = { weight: vector([1, 1, 1, 1]), bias: null };
 * layerNorm(matrix([[1, 2, 3, 4]]), ones, 1e-5).data; // => [-1.3416, -0.4472, 0.4472, 1.3416]
 * ```
 */
export function layerNorm(x: Tensor, { weight, bias }: LayerNormWeights, eps: number): Tensor {
  expectMatrix('layerNorm', 'x', x);
  const [T, C] = x.shape;
  expectVector('layerNorm', 'weight', weight, C);
  if (bias) expectVector('layerNorm', 'bias', bias, C);

  const y = zerosLike(x, [T, C]);
  for (let t = 0; t < T; t++) {
    const row = x.data.subarray(t * C, (t + 1) * C);

    let mean = 0;
    for (let c = 0; c < C; c++) mean += row[c];
    mean /= C;

    let variance = 0;
    for (let c = 0; c < C; c++) variance += (row[c] - mean) ** 2;
    variance /= C;

    const scale = 1 / Math.sqrt(variance + eps);
    for (let c = 0; c < C; c++) {
      y.data[t * C + c] = (row[c] - mean) * scale * weight.data[c] + (bias ? bias.data[c] : 0);
    }
  }
  return y;
}
