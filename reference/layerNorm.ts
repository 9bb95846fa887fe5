import { expectMatrix, expectVector, tensor, type Tensor } from './lib/tensor.js';
import type { LayerNormWeights } from './lib/weights.js';

/**
 * Shifts and scales each token's vector to mean 0 and variance 1, then lets the model choose its own scale and shift.
 * Without it the residual stream would grow from layer to layer.
 *
 *     y = (x − μ) / √(σ² + ε) · weight + bias,  μ and σ² over the C elements of one token, σ² divided by C
 *
 * Ba, Kiros & Hinton 2016, arXiv 1607.06450.
 *
 * @param x [T, C]
 * @param norm weight [C], bias [C] or null
 * @param eps ε, which also keeps a row of equal values finite: it becomes the bias.
 * @returns [T, C]
 * @throws ShapeError if weight or bias does not match C.
 * @see golden `layerNorm`; PyTorch `nn.LayerNorm`
 */
export function layerNorm(x: Tensor, { weight, bias }: LayerNormWeights, eps: number): Tensor {
  expectMatrix('layerNorm', 'x', x);
  const [T, C] = x.shape;
  expectVector('layerNorm', 'weight', weight, C);
  if (bias) expectVector('layerNorm', 'bias', bias, C);

  const y = tensor([T, C]);
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
