import { ShapeError } from './lib/errors.js';
import { expectMatrix, show, tensor, type Tensor } from './lib/tensor.js';
import { softmaxInPlace } from './softmax.js';

/**
 * Causal multi-head attention: each token gathers from itself and its predecessors what its query asks for. The only
 * place where tokens learn of each other. For every head, with queries q, keys k and values v of width D,
 *
 *     y[t] = Σₛ softmaxₛ(q[t] · k[s] / √D) v[s],  s ≤ t
 *
 * Vaswani et al. 2017, arXiv 1706.03762, section 3.2.
 *
 * @param q [T, C], H heads of width D = C / H side by side, already rotated. These are the last T of S positions:
 *   T = S for a whole sequence, T = 1 for one more token after S − 1 cached ones.
 * @param k [S, C], already rotated
 * @param v [S, C]
 * @param H heads
 * @returns [T, C], the heads side by side. Scores and weights stay in float64; the result is rounded once.
 * @throws ShapeError if the widths differ, H does not divide C, or S < T.
 * @see golden `attention`; PyTorch `F.scaled_dot_product_attention(q, k, v, is_causal=True)`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, H: number): Tensor {
  expectMatrix('attention', 'q', q);
  const [T, C] = q.shape;
  expectMatrix('attention', 'k', k, C);
  expectMatrix('attention', 'v', v, C);
  const S = k.shape[0];
  const D = C / H;
  if (!Number.isInteger(D)) throw new ShapeError(`attention: ${H} heads do not divide a width of ${C}`);
  if (v.shape[0] !== S) throw new ShapeError(`attention: k is ${show(k.shape)} but v is ${show(v.shape)}`);
  if (S < T) throw new ShapeError(`attention: q is ${show(q.shape)} but there are only ${S} keys`);

  const y = tensor([T, C]);
  const weights = new Float64Array(S);
  const gathered = new Float64Array(D);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      const query = t * C + h * D;
      const visible = S - T + t + 1; // itself and all before it

      for (let s = 0; s < visible; s++) {
        let dot = 0;
        for (let d = 0; d < D; d++) dot += q.data[query + d] * k.data[s * C + h * D + d];
        weights[s] = dot / Math.sqrt(D);
      }
      softmaxInPlace(weights, visible);

      gathered.fill(0);
      for (let s = 0; s < visible; s++) {
        for (let d = 0; d < D; d++) gathered[d] += weights[s] * v.data[s * C + h * D + d];
      }
      y.data.set(gathered, query);
    }
  }
  return y;
}
