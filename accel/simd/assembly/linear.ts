import { BF16, F16, F32, INT4, INT4_GROUP, INT8, INT8_GROUP, SCRATCH_BYTES } from '../constants';
import { rowBytes, rowScales } from './dtype';
import { multiplyMany } from './linearMany';
import { multiplyManyIntegers } from './linearManyInteger';
import { dotF32, dotHalves } from './linearOne';
import { dotIntegers, quantizeRow } from './linearOneInteger';
import { take, threadCount, threadIndex } from './threads';

/**
 * For one token a thread takes at most four times this many outputs at once, because long sequential reads are fast. The
 * number is odd so that the four stripes do not map to the same cache sets.
 */
const MAX_STRIPE: u32 = 31;

/**
 * y[t, o] = Σₖ x[t, k] · weight[o, k] + bias[o]: x [T, K], weight [N, K] of `dtype` with `scales`, bias [N] or 0 for none,
 * y [T, N]. One token reads every weight once and is bound by memory; many tokens share panels of weights in the caches.
 * For many tokens and integer weights, `x` comes from quantizeTokens. See reference/linear.ts.
 */
export function linear(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  T: u32,
  K: u32,
  N: u32,
  dtype: u32,
  scales: usize,
  scratch: usize,
): void {
  const own = scratch + <usize>threadIndex() * SCRATCH_BYTES;
  const integers = dtype == INT8 || dtype == INT4;
  if (T > 1 && integers) return multiplyManyIntegers(x, weight, bias, y, T, K, N, dtype, scales, own);
  if (T > 1) return multiplyMany(x, weight, bias, y, T, K, N, dtype, own);

  const row = rowBytes(dtype, K);
  const scaleRow = rowScales(dtype, K);
  // for integer weights, each thread makes its own copy of the token: 16-bit integers with one scale per group
  if (dtype == INT8) quantizeRow(x, K, INT8_GROUP, own);
  if (dtype == INT4) quantizeRow(x, K, INT4_GROUP, own);

  const piece = 4 * (min(MAX_STRIPE, N / (16 * threadCount())) | 1); // at least four chunks per thread
  for (let start = take(piece); start < N; start = take(piece)) {
    const end = min(start + piece, N);
    const w = weight + <usize>start * row;
    const s = scales + <usize>start * scaleRow;
    const out = y + (<usize>start << 2);
    const count = end - start;
    if (dtype == F32) dotF32(x, w, out, K, count);
    else if (dtype == BF16 || dtype == F16) dotHalves(dtype == BF16, x, w, out, K, count);
    else dotIntegers(dtype == INT8, own, w, s, out, K, count);
    if (bias) {
      for (let o = start; o < end; o++) {
        const at = y + (<usize>o << 2);
        store<f32>(at, load<f32>(at) + load<f32>(bias + (<usize>o << 2)));
      }
    }
  }
}
