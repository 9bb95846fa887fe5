import { ShapeError } from './lib/errors.js';
import type { ModelConfig } from './lib/config.js';
import { expectMatrix, zerosLike, type Tensor } from './lib/tensor.js';

/** The cosine and sine of every angle: [T, D/2] each, row-major, in float64. */
export interface RopeTables {
  cos: Float64Array;
  sin: Float64Array;
}

/**
 * The rotary angles of T positions from `start` on. Pair i of a head rotates by
 *
 *     angle[t, i] = (start + t) · θ^(−2i/D)
 *
 * so the first pairs distinguish adjacent tokens and the last ones distant passages. The angles are float32 products of
 * float32 numbers, because PyTorch models were trained with that rounding: at position 1000 it is worth 3e-5 radians.
 * Their cosines and sines are float64.
 *
 * @param D width of a head, even
 * @param theta θ, the base of the frequencies
 * @returns cos and sin, [T, D/2] each
 * @see golden `ropeTables`
 *
 * @example With D = 4 and θ = 10000 pair 0 rotates by 1 radian per token, pair 1 by 0.01. Position 1:
 * ```ts
 * const tables = ropeTables(4, 10000, 1, 1);
 * tables.cos; // => [0.5403, 0.99995]
 * tables.sin; // => [0.8415, 0.01]
 * ```
 */
export function ropeTables(D: number, theta: number, start: number, T: number): RopeTables {
  const half = D / 2;
  const cos = new Float64Array(T * half);
  const sin = new Float64Array(T * half);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround((2 * i) / D)));
    for (let t = 0; t < T; t++) {
      const angle = Math.fround((start + t) * frequency);
      cos[t * half + i] = Math.cos(angle);
      sin[t * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Rotary position embedding: rotates each pair of elements of a query or key by an angle that grows with the position. The
 * product of a query and a key then depends on the distance between their tokens, not on where the tokens are.
 *
 *     (a, b) → (a cos − b sin, b cos + a sin)
 *
 * Which elements form a pair is a convention: `half` takes (i, i + D/2), `interleaved` takes (2i, 2i + 1). Weights
 * trained with one are useless with the other. Su et al. 2021, arXiv 2104.09864, section 3.2.
 *
 * @param x [T, C], H heads of width D side by side
 * @param H heads
 * @param tables of these T positions, see {@link ropeTables}
 * @returns [T, C]
 * @throws ShapeError if H does not divide C into even heads, or the tables have another T or D.
 * @see golden `rope`; PyTorch has no such op, `golden/model.py` has `rotate`
 *
 * @example At position 1 the half pairing joins elements 0 and 2, so (1, 0) becomes (cos 1, sin 1).
 * ```ts
 * const tables = ropeTables(4, 10000, 1, 1);
 * rope(matrix([[1, 0, 0, 0]]), 1, tables, 'half').data; // => [0.5403, 0, 0.8415, 0]
 * rope(matrix([[1, 0, 0, 0]]), 1, tables, 'interleaved').data; // => [0.5403, 0.8415, 0, 0]
 * ```
 */
export function rope(x: Tensor, H: number, tables: RopeTables, pairing: ModelConfig['ropePairing']): Tensor {
  expectMatrix('rope', 'x', x);
  const [T, C] = x.shape;
  const D = C / H;
  const half = D / 2;
  if (!Number.isInteger(half)) throw new ShapeError(`rope: ${H} heads do not divide a width of ${C} into even heads`);
  if (tables.cos.length !== T * half) {
    throw new ShapeError(`rope: tables expect [${T}, ${half}] angles, got ${tables.cos.length}`);
  }
  const step = pairing === 'half' ? 1 : 2; // from one pair to the next
  const partner = pairing === 'half' ? half : 1; // from the first of a pair to the second

  const y = zerosLike(x, [T, C]);
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < half; i++) {
        const first = t * C + h * D + i * step;
        const second = first + partner;
        const cos = tables.cos[t * half + i];
        const sin = tables.sin[t * half + i];
        y.data[first] = x.data[first] * cos - x.data[second] * sin;
        y.data[second] = x.data[second] * cos + x.data[first] * sin;
      }
    }
  }
  return y;
}
