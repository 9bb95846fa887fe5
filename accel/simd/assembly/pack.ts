// Weights into fewer bits: the same bits as reference/lib/pack.ts makes, four weights at a time.

import { Dtype, INT4_GROUP, INT8_GROUP, loadScale } from './dtype';
import { largest, sum } from './lanes';

const INFINITE: u32 = 0x7f800000;
/** What the largest weight of a group of int4 may become. */
const EXTREMES = memory.data<f32>([-8.5, -8, -7.5, -7, 7, 7.5]);
const EXTREMES_END = EXTREMES + 24;

/** Packs N rows of K weights. False if there is one that cannot be held, as reference/lib/pack.ts says. */
export function packRows(dtype: u32, values: usize, K: u32, N: u32, codes: usize, scales: usize): bool {
  if (dtype == Dtype.Bf16 || dtype == Dtype.F16) return packHalves(dtype == Dtype.Bf16, values, K * N, codes);
  const group = dtype == Dtype.Int8 ? INT8_GROUP : INT4_GROUP;
  let sizes = i32x4.splat(0);
  for (let n: u32 = 0; n < N; n++, values += <usize>K << 2) {
    for (let k: u32 = 0; k < K; k += group, scales += 2) {
      let from = values + (<usize>k << 2);
      if (k + group > K) from = padded(from, K - k);
      for (let i: u32 = 0; i < group; i += 4) sizes = i32x4.max_s(sizes, magnitude(v128.load(from + (<usize>i << 2))));
      if (dtype == Dtype.Int8) packInt8(from, codes, scales);
      else packInt4(from, codes, scales);
      codes += dtype == Dtype.Int8 ? INT8_GROUP : INT4_GROUP >> 1;
    }
  }
  return !v128.any_true(i32x4.ge_s(sizes, i32x4.splat(INFINITE)));
}

/** The bits of numbers without their signs: they are in the order of their sizes, NaN above infinity. */
// @ts-ignore: decorator
@inline
function magnitude(v: v128): v128 {
  return v128.and(v, i32x4.splat(0x7fffffff));
}

/** A copy of the last weights of a row, filled up with zeros. */
function padded(from: usize, count: u32): usize {
  const whole = memory.data(256, 16);
  memory.fill(whole, 0, 256);
  memory.copy(whole, from, <usize>count << 2);
  return whole;
}

/** The weight that is furthest from zero, with its sign; the positive one of two. */
function largestOf(from: usize, count: u32): f32 {
  let most = f32x4.splat(0);
  let least = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>count << 2; i += 16) {
    most = f32x4.max(most, v128.load(from + i));
    least = f32x4.min(least, v128.load(from + i));
  }
  const top = largest(most);
  const bottom = largest(f32x4.neg(least));
  return bottom > top ? -bottom : top;
}

/** 64 codes from −127 to 127, to the nearest. */
function packInt8(from: usize, codes: usize, scales: usize): void {
  store<u16>(scales, toBfloat16(abs<f32>(largestOf(from, INT8_GROUP)) / 127));
  const scale = loadScale(scales);
  if (scale == 0) return memory.fill(codes, 0, INT8_GROUP);
  const s = f32x4.splat(scale);
  for (let i: usize = 0; i < INT8_GROUP; i += 16) {
    const at = from + (i << 2);
    v128.store(codes + i, i8x16.narrow_i16x8_s(eight(at, s, -127, 127), eight(at + 32, s, -127, 127)));
  }
}

/** 32 codes from −8 to 7, with the scale that loses least. */
function packInt4(from: usize, codes: usize, scales: usize): void {
  const furthest = largestOf(from, INT4_GROUP);
  let best: u16 = 0;
  let least: f32 = Infinity;
  for (let extreme = EXTREMES; extreme < EXTREMES_END; extreme += 4) {
    const bits = toBfloat16(furthest / load<f32>(extreme));
    store<u16>(scales, bits);
    const scale = loadScale(scales);
    if (scale == 0) continue;
    const error = lost(from, f32x4.splat(scale), f32x4.splat(scale / furthest));
    if (error < least) {
      least = error;
      best = bits;
    }
  }
  store<u16>(scales, best);
  const scale = loadScale(scales);
  if (scale == 0) return memory.fill(codes, 0x88, INT4_GROUP >> 1); // two codes of 0
  const s = f32x4.splat(scale);
  const low = i8x16.narrow_i16x8_s(eight(from, s, -8, 7), eight(from + 32, s, -8, 7));
  const high = i8x16.narrow_i16x8_s(eight(from + 64, s, -8, 7), eight(from + 96, s, -8, 7));
  const zero = i8x16.splat(8);
  v128.store(codes, v128.or(i8x16.add(low, zero), i8x16.shl(i8x16.add(high, zero), 4)));
}

/** Σ ((x / scale − code) · scale / largest)² over a group of int4: what is lost, whatever the size of the weights. */
function lost(from: usize, scale: v128, ratio: v128): f32 {
  let total = f32x4.splat(0);
  for (let i: usize = 0; i < INT4_GROUP << 2; i += 16) {
    const x = f32x4.div(v128.load(from + i), scale);
    const missed = f32x4.mul(f32x4.sub(x, nearestCode(x, -8, 7)), ratio);
    total = f32x4.add(total, f32x4.mul(missed, missed));
  }
  return sum(total);
}

// @ts-ignore: decorator
@inline
function nearestCode(x: v128, least: f32, most: f32): v128 {
  return f32x4.max(f32x4.min(f32x4.nearest(x), f32x4.splat(most)), f32x4.splat(least));
}

/** The codes of eight weights, 16 bits each. */
// @ts-ignore: decorator
@inline
function eight(from: usize, scale: v128, least: f32, most: f32): v128 {
  const a = nearestCode(f32x4.div(v128.load(from), scale), least, most);
  const b = nearestCode(f32x4.div(v128.load(from, 16), scale), least, most);
  return i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(a), i32x4.trunc_sat_f32x4_s(b));
}

function packHalves(bf16: bool, values: usize, size: u32, codes: usize): bool {
  let sizes = i32x4.splat(0);
  let i: u32 = 0;
  for (; i + 8 <= size; i += 8) {
    const a = v128.load(values + (<usize>i << 2));
    const b = v128.load(values + (<usize>i << 2), 16);
    sizes = i32x4.max_s(sizes, i32x4.max_s(magnitude(a), magnitude(b)));
    const low = bf16 ? bfloat16(a) : float16(a);
    const high = bf16 ? bfloat16(b) : float16(b);
    v128.store(codes + (<usize>i << 1), i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < size; i++) {
    const v = v128.load32_zero(values + (<usize>i << 2));
    sizes = i32x4.max_s(sizes, magnitude(v));
    store<u16>(codes + (<usize>i << 1), <u16>i32x4.extract_lane(bf16 ? bfloat16(v) : float16(v), 0));
  }
  return bf16 || !v128.any_true(i32x4.ge_s(sizes, i32x4.splat(TOO_LARGE)));
}

function toBfloat16(x: f32): u16 {
  return <u16>i32x4.extract_lane(bfloat16(f32x4.splat(x)), 0);
}

/** The upper halves of four float32 numbers, rounded to nearest, ties to even. */
// @ts-ignore: decorator
@inline
function bfloat16(v: v128): v128 {
  const upper = i32x4.shr_u(v, 16);
  const odd = v128.and(upper, i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(v, i32x4.splat(0x7fff)), odd), 16);
  const nan = i32x4.gt_s(magnitude(v), i32x4.splat(INFINITE)); // which rounding could make infinite
  return v128.bitselect(v128.or(upper, i32x4.splat(0x40)), rounded, nan);
}

/** 65520, which is nearer to the number after the largest float16. */
const TOO_LARGE: u32 = 0x477ff000;

/** The bits of the nearest float16 numbers, ties to even. */
// @ts-ignore: decorator
@inline
function float16(v: v128): v128 {
  const sign = v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000));
  const size = magnitude(v);
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.sub(size, i32x4.splat(0x38000000 - 0xfff)), odd), 13);
  // beside ½ a float32 has the step of the smallest float16 numbers, 2^-24
  const half = f32x4.splat(0.5);
  const small = i32x4.sub(f32x4.add(size, half), half);
  let bits = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat(0x38800000)));
  bits = v128.bitselect(i32x4.splat(0x7c00), bits, i32x4.ge_s(size, i32x4.splat(TOO_LARGE)));
  bits = v128.bitselect(i32x4.splat(0x7e00), bits, i32x4.gt_s(size, i32x4.splat(INFINITE)));
  return v128.or(sign, bits);
}
