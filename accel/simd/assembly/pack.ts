// Packs weights into fewer bits, four at a time. The result is bit-identical to that of reference/lib/pack.ts.

import { BF16, F16, INT4_GROUP, INT8, INT8_GROUP } from '../constants';
import { loadScale } from './dtype';
import { largest, sum } from './lanes';

const INFINITY_BITS: u32 = 0x7f800000;
/** Candidate codes for the largest weight of an int4 group. */
const EXTREME_CODES = memory.data<f32>([-8.5, -8, -7.5, -7, 7, 7.5]);
const EXTREME_CODES_END = EXTREME_CODES + 24;

/** Packs N rows of K weights. Returns false if `dtype` cannot represent one of them; see reference/lib/pack.ts. */
export function packRows(dtype: u32, values: usize, K: u32, N: u32, codes: usize, scales: usize): bool {
  if (dtype == BF16 || dtype == F16) return packHalves(dtype == BF16, values, K * N, codes);
  const group: u32 = dtype == INT8 ? INT8_GROUP : INT4_GROUP;
  let maxima = i32x4.splat(0);
  for (let n: u32 = 0; n < N; n++, values += <usize>K << 2) {
    for (let k: u32 = 0; k < K; k += group, scales += 2) {
      let from = values + (<usize>k << 2);
      if (k + group > K) from = padded(from, K - k);
      for (let i: u32 = 0; i < group; i += 4) maxima = i32x4.max_s(maxima, magnitude(v128.load(from + (<usize>i << 2))));
      if (dtype == INT8) packInt8(from, codes, scales);
      else packInt4(from, codes, scales);
      codes += dtype == INT8 ? INT8_GROUP : INT4_GROUP >> 1;
    }
  }
  return !v128.any_true(i32x4.ge_s(maxima, i32x4.splat(INFINITY_BITS)));
}

/** The bits without the signs. As integers they sort by magnitude, with NaN above infinity. */
// @ts-ignore: decorator
@inline
function magnitude(v: v128): v128 {
  return v128.and(v, i32x4.splat(0x7fffffff));
}

/** Copies the last weights of a row and pads them with zeros. */
function padded(from: usize, count: u32): usize {
  const whole = memory.data(256, 16);
  memory.fill(whole, 0, 256);
  memory.copy(whole, from, <usize>count << 2);
  return whole;
}

/** The weight of largest magnitude, with its sign. A tie goes to the positive one. */
function largestOf(from: usize, count: u32): f32 {
  let maxima = f32x4.splat(0);
  let minima = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>count << 2; i += 16) {
    maxima = f32x4.max(maxima, v128.load(from + i));
    minima = f32x4.min(minima, v128.load(from + i));
  }
  const top = largest(maxima);
  const bottom = largest(f32x4.neg(minima));
  return bottom > top ? -bottom : top;
}

/** Rounds 64 weights to the nearest codes, −127 to 127. */
function packInt8(from: usize, codes: usize, scales: usize): void {
  store<u16>(scales, toBfloat16(abs<f32>(largestOf(from, INT8_GROUP)) / 127));
  const scale = loadScale(scales);
  if (scale == 0) return memory.fill(codes, 0, INT8_GROUP);
  const s = f32x4.splat(scale);
  for (let i: usize = 0; i < <usize>INT8_GROUP; i += 16) {
    const at = from + (i << 2);
    v128.store(codes + i, i8x16.narrow_i16x8_s(eightCodes(at, s, -127, 127), eightCodes(at + 32, s, -127, 127)));
  }
}

/** Rounds 32 weights to codes −8 to 7, with the candidate scale of least error. */
function packInt4(from: usize, codes: usize, scales: usize): void {
  const extremeWeight = largestOf(from, INT4_GROUP);
  let best: u16 = 0;
  let minError: f32 = Infinity;
  for (let extreme = EXTREME_CODES; extreme < EXTREME_CODES_END; extreme += 4) {
    const bits = toBfloat16(extremeWeight / load<f32>(extreme));
    store<u16>(scales, bits);
    const scale = loadScale(scales);
    if (scale == 0) continue;
    const error = relativeError(from, f32x4.splat(scale), f32x4.splat(scale / extremeWeight));
    if (error < minError) {
      minError = error;
      best = bits;
    }
  }
  store<u16>(scales, best);
  const scale = loadScale(scales);
  if (scale == 0) return memory.fill(codes, 0x88, INT4_GROUP >> 1); // two codes of 0
  const s = f32x4.splat(scale);
  const low = i8x16.narrow_i16x8_s(eightCodes(from, s, -8, 7), eightCodes(from + 32, s, -8, 7));
  const high = i8x16.narrow_i16x8_s(eightCodes(from + 64, s, -8, 7), eightCodes(from + 96, s, -8, 7));
  const zero = i8x16.splat(8);
  v128.store(codes, v128.or(i8x16.add(low, zero), i8x16.shl(i8x16.add(high, zero), 4)));
}

/** The squared error of an int4 group relative to its largest weight: Σ ((x / scale − code) · scale / largest)². */
function relativeError(from: usize, scale: v128, ratio: v128): f32 {
  let total = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>INT4_GROUP << 2; i += 16) {
    const x = f32x4.div(v128.load(from + i), scale);
    const error = f32x4.mul(f32x4.sub(x, nearestCode(x, -8, 7)), ratio);
    total = f32x4.add(total, f32x4.mul(error, error));
  }
  return sum(total);
}

// @ts-ignore: decorator
@inline
function nearestCode(x: v128, minCode: f32, maxCode: f32): v128 {
  return f32x4.max(f32x4.min(f32x4.nearest(x), f32x4.splat(maxCode)), f32x4.splat(minCode));
}

/** The codes of eight weights, as 16-bit integers. */
// @ts-ignore: decorator
@inline
function eightCodes(from: usize, scale: v128, minCode: f32, maxCode: f32): v128 {
  const a = nearestCode(f32x4.div(v128.load(from), scale), minCode, maxCode);
  const b = nearestCode(f32x4.div(v128.load(from, 16), scale), minCode, maxCode);
  return i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(a), i32x4.trunc_sat_f32x4_s(b));
}

function packHalves(bf16: bool, values: usize, size: u32, codes: usize): bool {
  let maxima = i32x4.splat(0);
  let i: u32 = 0;
  for (; i + 8 <= size; i += 8) {
    const a = v128.load(values + (<usize>i << 2));
    const b = v128.load(values + (<usize>i << 2), 16);
    maxima = i32x4.max_s(maxima, i32x4.max_s(magnitude(a), magnitude(b)));
    const low = bf16 ? bfloat16(a) : float16(a);
    const high = bf16 ? bfloat16(b) : float16(b);
    v128.store(codes + (<usize>i << 1), i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < size; i++) {
    const v = v128.load32_zero(values + (<usize>i << 2));
    maxima = i32x4.max_s(maxima, magnitude(v));
    store<u16>(codes + (<usize>i << 1), <u16>i32x4.extract_lane(bf16 ? bfloat16(v) : float16(v), 0));
  }
  return bf16 || !v128.any_true(i32x4.ge_s(maxima, i32x4.splat(OVERFLOW_BITS)));
}

function toBfloat16(x: f32): u16 {
  return <u16>i32x4.extract_lane(bfloat16(f32x4.splat(x)), 0);
}

/** Rounds four float32 numbers to bfloat16, to nearest, ties to even. */
// @ts-ignore: decorator
@inline
function bfloat16(v: v128): v128 {
  const upper = i32x4.shr_u(v, 16);
  const odd = v128.and(upper, i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(v, i32x4.splat(0x7fff)), odd), 16);
  const nan = i32x4.gt_s(magnitude(v), i32x4.splat(INFINITY_BITS)); // rounding could make NaN infinite
  return v128.bitselect(v128.or(upper, i32x4.splat(0x40)), rounded, nan);
}

/** 65520, the smallest number that rounds past the largest float16. */
const OVERFLOW_BITS: u32 = 0x477ff000;

/** Rounds four float32 numbers to float16, to nearest, ties to even. */
// @ts-ignore: decorator
@inline
function float16(v: v128): v128 {
  const sign = v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000));
  const size = magnitude(v);
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.sub(size, i32x4.splat(0x38000000 - 0xfff)), odd), 13);
  // just above ½, float32 numbers are 2^-24 apart, as subnormal float16 numbers are
  const half = f32x4.splat(0.5);
  const small = i32x4.sub(f32x4.add(size, half), half);
  let bits = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat(0x38800000)));
  bits = v128.bitselect(i32x4.splat(0x7c00), bits, i32x4.ge_s(size, i32x4.splat(OVERFLOW_BITS)));
  bits = v128.bitselect(i32x4.splat(0x7e00), bits, i32x4.gt_s(size, i32x4.splat(INFINITY_BITS)));
  return v128.or(sign, bits);
}
