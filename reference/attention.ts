import { ShapeError } from './lib/errors.js';
import { expectMatrix, show, zerosLike, type Tensor } from './lib/tensor.js';
import { softmaxInPlace } from './softmax.js';

/**
 * Causal multi-head attention: each token averages the values of the tokens up to itself, weighted by how well their keys
 * match its query. It is the only op in which tokens exchange information. For every head of width D,
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
 * @param weights [H, T, S] of zeros, if wanted: receives the softmax weights. Row t of a head sums to 1; the weights of
 *   positions after t stay 0.
 * @returns [T, C], the heads side by side. Scores and weights stay in float64; the result is rounded once.
 * @throws ShapeError if the widths differ, H does not divide C, S < T, or `weights` has another shape.
 * @see golden `attention`; PyTorch `F.scaled_dot_product_attention(q, k, v, is_causal=True)` where T = S
 *
 * @example Token 0 sees itself alone. Token 1 scores 0 and ln 3, so it averages with weights 1/4 and 3/4.
 * ```ts
 * const q = matrix([[1], [Math.log(3)]]); // T = 2 tokens of width C = 1
 * const k = matrix([[0], [1]]);
 * const v = matrix([[4], [8]]);
 * attention(q, k, v, 1).data; // => [4, 7]
 * ```
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, H: number, weights?: Tensor): Tensor {
  expectMatrix('attention', 'q', q);
  const [T, C] = q.shape;
  expectMatrix('attention', 'k', k, C);
  expectMatrix('attention', 'v', v, C);
  const S = k.shape[0];
  const D = C / H;
  if (!Number.isInteger(D)) throw new ShapeError(`attention: ${H} heads do not divide a width of ${C}`);
  if (v.shape[0] !== S) throw new ShapeError(`attention: k is ${show(k.shape)} but v is ${show(v.shape)}`);
  if (S < T) throw new ShapeError(`attention: q is ${show(q.shape)} but there are only ${S} keys`);
  if (weights && show(weights.shape) !== show([H, T, S])) {
    throw new ShapeError(`attention: weights expects [${H}, ${T}, ${S}], got ${show(weights.shape)}`);
  }

  const y = zerosLike(q, [T, C]);
  const row = new Float64Array(S); // scores of one query, then its weights
  const mean = new Float64Array(D);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      const query = t * C + h * D;
      const visible = S - T + t + 1; // itself and all tokens before it

      for (let s = 0; s < visible; s++) {
        let dot = 0;
        for (let d = 0; d < D; d++) dot += q.data[query + d] * k.data[s * C + h * D + d];
        row[s] = dot / Math.sqrt(D);
      }
      softmaxInPlace(row, visible);
      weights?.data.set(row.subarray(0, visible), (h * T + t) * S);

      mean.fill(0);
      for (let s = 0; s < visible; s++) {
        for (let d = 0; d < D; d++) mean[d] += row[s] * v.data[s * C + h * D + d];
      }
      y.data.set(mean, query);
    }
  }
  return y;
}
