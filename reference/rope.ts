import { ShapeError } from './lib/errors.js';
import type { ModelConfig } from './lib/config.js';
import { expectMatrix, tensor, type Tensor } from './lib/tensor.js';

/** The cosine and sine of every angle: [T, D/2] each, row-major, in float64. */
export interface RopeTables {
  cos: Float64Array;
  sin: Float64Array;
}

/**
 * The rotary angles of T positions from `start` on. Pair i of a head turns by
 *
 *     angle[t, i] = (start + t) · θ^(−2i/D)
 *
 * so that the first pairs tell neighbours apart and the last ones chapters. The angles are float32 products of float32
 * numbers, because that is what PyTorch models were trained with: at position 1000 the rounding is worth 3e-5 radians.
 * Their cosines and sines are float64.
 *
 * @see golden `ropeTables`
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
 * Rotary position embedding: turns each pair of a query's or key's elements by an angle that grows with the position,
 * so that the product of a query and a key depends on how far apart they are and on nothing else about where they are.
 *
 *     (a, b) → (a cos − b sin, b cos + a sin)
 *
 * Which elements make a pair is a convention: `half` takes (i, i + D/2), `interleaved` takes (2i, 2i + 1). Weights
 * trained with one are useless with the other. Su et al. 2021, arXiv 2104.09864.
 *
 * @param x [T, C], H heads of width D side by side
 * @param H heads
 * @param tables for these T positions, see {@link ropeTables}
 * @returns [T, C]
 * @throws ShapeError if H does not divide C into even heads, or the tables are for another T or D.
 * @see golden `rope`; PyTorch has no such op, `golden/model.py` has `rotate`
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
  const [step, partner] = pairing === 'half' ? [1, half] : [2, 1];

  const y = tensor([T, C]);
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
