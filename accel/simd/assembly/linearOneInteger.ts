// One token, integer weights. The token is quantized to 16-bit integers, so its products with the codes sum exactly within a
// group. Rows are read in four stripes, as in linearOne.ts.

import { INT4_GROUP, INT8_GROUP } from '../constants';
import { groups, loadScale } from './dtype';
import { integerSums, madd } from './lanes';
import { eightCodes, oneCode, scaleOf } from './quantize';

/** Tag types: the generic functions below are compiled once for each format. */
class Int8 {}
class Int4 {}

// @ts-ignore: decorator
@inline
function groupOf<Format>(): u32 {
  return idof<Format>() == idof<Int8>() ? INT8_GROUP : INT4_GROUP;
}

/** The size of a group's codes in bytes. */
// @ts-ignore: decorator
@inline
function bytesOf<Format>(): u32 {
  return idof<Format>() == idof<Int8>() ? INT8_GROUP : INT4_GROUP >> 1;
}

/** The size of a row's codes in bytes; quantizeRow stores the scales after them. */
// @ts-ignore: decorator
@inline
function codesEnd(K: u32, group: u32): usize {
  return <usize>groups(K, group) * (group << 1);
}

/**
 * Quantizes a token to 16-bit integers: codes [groups · group], then one float32 scale per group. The error is at most
 * 2^-16 of the group's largest magnitude.
 */
export function quantizeRow(x: usize, K: u32, group: u32, to: usize): void {
  let scales = to + codesEnd(K, group);
  for (let start: u32 = 0; start < K; start += group, scales += 4) {
    const count = min(group, K - start);
    const from = x + (<usize>start << 2);
    const codes = to + (<usize>start << 1);
    const inverses = f32x4.splat(scaleOf(from, count, scales));
    const whole = count & ~7;
    for (let i: u32 = 0; i < whole; i += 8) v128.store(codes + (<usize>i << 1), eightCodes(from + (<usize>i << 2), inverses));
    for (let i = whole; i < group; i++) {
      store<i16>(codes + (<usize>i << 1), i < count ? oneCode(from + (<usize>i << 2), inverses) : 0);
    }
  }
}

/** y[o] = x · w[o] for rows of integer codes; x comes from {@link quantizeRow}. */
export function dotIntegers(int8: bool, x: usize, w: usize, scales: usize, y: usize, K: u32, count: u32): void {
  if (int8) dotRows<Int8>(x, w, scales, y, K, count);
  else dotRows<Int4>(x, w, scales, y, K, count);
}

function dotRows<Format>(x: usize, w: usize, scales: usize, y: usize, K: u32, count: u32): void {
  const n = groups(K, groupOf<Format>());
  const row = <usize>(n * bytesOf<Format>());
  const scaleRow = <usize>n << 1;
  const stripe = count >> 2;
  const outStride = <usize>stripe << 2;
  for (let o: u32 = 0; o < stripe; o++, w += row, scales += scaleRow, y += 4) {
    fourRows<Format>(x, w, stripe * row, scales, stripe * scaleRow, y, outStride, K);
  }
  w += 3 * stripe * row;
  scales += 3 * stripe * scaleRow;
  y += 3 * outStride;
  for (let o = stripe << 2; o < count; o++, w += row, scales += scaleRow, y += 4) oneRow<Format>(x, w, scales, y, K);
}

function fourRows<Format>(
  x: usize,
  w: usize,
  rowStride: usize,
  scales: usize,
  scaleStride: usize,
  y: usize,
  outStride: usize,
  K: u32,
): void {
  const end = x + codesEnd(K, groupOf<Format>());
  let xScale = end;
  let totals = f32x4.splat(0);
  for (; x < end; x += groupOf<Format>() << 1, w += bytesOf<Format>(), scales += 2, xScale += 4) {
    const a = multiply<Format>(x, w);
    const b = multiply<Format>(x, w + rowStride);
    const c = multiply<Format>(x, w + 2 * rowStride);
    const d = multiply<Format>(x, w + 3 * rowStride);
    let scale = v128.load16_lane(scales, i32x4.splat(0), 1);
    scale = v128.load16_lane(scales + scaleStride, scale, 3);
    scale = v128.load16_lane(scales + 2 * scaleStride, scale, 5);
    scale = v128.load16_lane(scales + 3 * scaleStride, scale, 7);
    totals = addGroup(integerSums(a, b, c, d), f32x4.mul(scale, v128.load32_splat(xScale)), totals);
  }
  v128.store32_lane(y, totals, 0);
  v128.store32_lane(y + outStride, totals, 1);
  v128.store32_lane(y + 2 * outStride, totals, 2);
  v128.store32_lane(y + 3 * outStride, totals, 3);
}

function oneRow<Format>(x: usize, w: usize, scales: usize, y: usize, K: u32): void {
  const end = x + codesEnd(K, groupOf<Format>());
  let xScale = end;
  let total = f32x4.splat(0);
  for (; x < end; x += groupOf<Format>() << 1, w += bytesOf<Format>(), scales += 2, xScale += 4) {
    const a = multiply<Format>(x, w);
    total = addGroup(integerSums(a, a, a, a), f32x4.splat(loadScale(scales) * load<f32>(xScale)), total);
  }
  v128.store32_lane(y, total, 0);
}

/** total + scale · product, one output in each lane: the order of linearManyInteger.ts. */
// @ts-ignore: decorator
@inline
function addGroup(products: v128, scale: v128, total: v128): v128 {
  return madd(f32x4.convert_i32x4_s(products), scale, total);
}

/** x · w over a group, in four lanes. 32 bits hold the sum of all lanes: 64 · 127 · 32767 is under 2^31. */
// @ts-ignore: decorator
@inline
function multiply<Format>(x: usize, w: usize): v128 {
  return idof<Format>() == idof<Int8>() ? multiplyInt8(x, w) : multiplyInt4(x, w);
}

// @ts-ignore: decorator
@inline
function multiplyInt8(x: usize, w: usize): v128 {
  let a = i32x4.dot_i16x8_s(v128.load8x8_s(w), v128.load(x));
  let b = i32x4.dot_i16x8_s(v128.load8x8_s(w, 8), v128.load(x, 16));
  a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 16), v128.load(x, 32)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 24), v128.load(x, 48)));
  a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 32), v128.load(x, 64)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 40), v128.load(x, 80)));
  a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 48), v128.load(x, 96)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 56), v128.load(x, 112)));
  return i32x4.add(a, b);
}

// @ts-ignore: decorator
@inline
function multiplyInt4(x: usize, w: usize): v128 {
  const bytes = v128.load(w);
  const eight = i8x16.splat(8);
  const low = i8x16.sub(v128.and(bytes, i8x16.splat(15)), eight);
  const high = i8x16.sub(i8x16.shr_u(bytes, 4), eight);
  const a = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(low), v128.load(x));
  const b = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(low), v128.load(x, 16));
  const c = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(high), v128.load(x, 32));
  const d = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(high), v128.load(x, 48));
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}
