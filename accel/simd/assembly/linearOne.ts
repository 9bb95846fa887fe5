// One token: its dot products with rows of weights. Eight independent sums hide the latency of additions, and four rows
// share each load of the token. The rows of a chunk form four stripes, and each of the four comes from its own stripe, so
// every stripe is one sequential read. (The hardware prefetcher follows one stream per page and restarts after a jump.)

import { F16 } from '../constants';
import { fromUpperF16 } from './dtype';
import { madd, sum } from './lanes';

/** y[o] = x · w[o] for `count` rows of K float32 numbers. */
export function dotF32(x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const row = <usize>K << 2;
  const whole = row & ~31;
  const stripe = count >> 2;
  const rowStride = stripe * row;
  const outStride = <usize>stripe << 2;
  for (let o: u32 = 0; o < stripe; o++, w += row, y += 4) {
    const w1 = w + rowStride;
    const w2 = w1 + rowStride;
    const w3 = w2 + rowStride;
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 32) {
      const x0 = v128.load(x + k);
      const x1 = v128.load(x + k, 16);
      a0 = madd(x0, v128.load(w + k), a0);
      a1 = madd(x1, v128.load(w + k, 16), a1);
      b0 = madd(x0, v128.load(w1 + k), b0);
      b1 = madd(x1, v128.load(w1 + k, 16), b1);
      c0 = madd(x0, v128.load(w2 + k), c0);
      c1 = madd(x1, v128.load(w2 + k, 16), c1);
      d0 = madd(x0, v128.load(w3 + k), d0);
      d1 = madd(x1, v128.load(w3 + k, 16), d1);
    }
    store<f32>(y, sum(f32x4.add(a0, a1)) + dotRest(x, w, whole, row));
    store<f32>(y + outStride, sum(f32x4.add(b0, b1)) + dotRest(x, w1, whole, row));
    store<f32>(y + 2 * outStride, sum(f32x4.add(c0, c1)) + dotRest(x, w2, whole, row));
    store<f32>(y + 3 * outStride, sum(f32x4.add(d0, d1)) + dotRest(x, w3, whole, row));
  }
  w += 3 * rowStride;
  y += 3 * outStride;
  for (let o = stripe << 2; o < count; o++, w += row, y += 4) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 32) {
      a = madd(v128.load(x + k), v128.load(w + k), a);
      b = madd(v128.load(x + k, 16), v128.load(w + k, 16), b);
    }
    store<f32>(y, sum(f32x4.add(a, b)) + dotRest(x, w, whole, row));
  }
}

// @ts-ignore: decorator
@inline
function dotRest(x: usize, w: usize, from: usize, end: usize): f32 {
  let total: f32 = 0;
  for (let k = from; k < end; k += 4) total += load<f32>(x + k) * load<f32>(w + k);
  return total;
}

/** Reorders a token for {@link dotHalves}: in every eight elements, the even-numbered ones come first. */
export function splitRow(x: usize, K: u32, to: usize): void {
  const whole = K & ~7;
  for (let k: u32 = 0; k < whole; k += 8) {
    const at = <usize>k << 2;
    const a = v128.load(x + at);
    const b = v128.load(x + at, 16);
    v128.store(to + at, v128.shuffle<f32>(a, b, 0, 2, 4, 6));
    v128.store(to + at, v128.shuffle<f32>(a, b, 1, 3, 5, 7), 16);
  }
  memory.copy(to + (<usize>whole << 2), x + (<usize>whole << 2), <usize>(K - whole) << 2);
}

/** y[o] = x · w[o] for rows of bf16 or f16; x comes from {@link splitRow}. Four rows share each load of the token. */
export function dotHalves(bf16: bool, x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const row = <usize>K << 1;
  const stripe = count >> 2;
  const rowStride = stripe * row;
  for (let o: u32 = 0; o < stripe; o++, w += row, y += 4) {
    if (bf16) fourRows<Bf16>(x, w, rowStride, y, stripe << 2, K);
    else fourRows<F16>(x, w, rowStride, y, stripe << 2, K);
  }
  w += 3 * rowStride;
  y += <usize>(stripe * 3) << 2;
  for (let o = stripe << 2; o < count; o++, w += row, y += 4) {
    if (bf16) oneRow<Bf16>(x, w, y, K);
    else oneRow<F16>(x, w, y, K);
  }
}

/** Tag types: the generic functions below are compiled once for each format. */
class Bf16 {}
class F16 {}

function fourRows<Format>(x: usize, w: usize, rowStride: usize, y: usize, outStride: usize, K: u32): void {
  const whole = K & ~7;
  const w1 = w + rowStride;
  const w2 = w1 + rowStride;
  const w3 = w2 + rowStride;
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  let e = f32x4.splat(0);
  let f = f32x4.splat(0);
  let g = f32x4.splat(0);
  let h = f32x4.splat(0);
  for (let k: u32 = 0; k < whole; k += 8) {
    const even = v128.load(x + (<usize>k << 2));
    const odd = v128.load(x + (<usize>k << 2), 16);
    const at = <usize>k << 1;
    let v = v128.load(w + at);
    a = madd(even, evens<Format>(v), a);
    b = madd(odd, odds<Format>(v), b);
    v = v128.load(w1 + at);
    c = madd(even, evens<Format>(v), c);
    d = madd(odd, odds<Format>(v), d);
    v = v128.load(w2 + at);
    e = madd(even, evens<Format>(v), e);
    f = madd(odd, odds<Format>(v), f);
    v = v128.load(w3 + at);
    g = madd(even, evens<Format>(v), g);
    h = madd(odd, odds<Format>(v), h);
  }
  store<f32>(y, sum(f32x4.add(a, b)) + restOfRow<Format>(x, w, whole, K));
  store<f32>(y + outStride, sum(f32x4.add(c, d)) + restOfRow<Format>(x, w1, whole, K));
  store<f32>(y + 2 * outStride, sum(f32x4.add(e, f)) + restOfRow<Format>(x, w2, whole, K));
  store<f32>(y + 3 * outStride, sum(f32x4.add(g, h)) + restOfRow<Format>(x, w3, whole, K));
}

function oneRow<Format>(x: usize, w: usize, y: usize, K: u32): void {
  const whole = K & ~7;
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  for (let k: u32 = 0; k < whole; k += 8) {
    const v = v128.load(w + (<usize>k << 1));
    a = madd(v128.load(x + (<usize>k << 2)), evens<Format>(v), a);
    b = madd(v128.load(x + (<usize>k << 2), 16), odds<Format>(v), b);
  }
  store<f32>(y, sum(f32x4.add(a, b)) + restOfRow<Format>(x, w, whole, K));
}

// @ts-ignore: decorator
@inline
function restOfRow<Format>(x: usize, w: usize, from: u32, K: u32): f32 {
  let total: f32 = 0;
  for (let k = from; k < K; k++) {
    const v = i32x4.splat(<u32>load<u16>(w + (<usize>k << 1)));
    total += load<f32>(x + (<usize>k << 2)) * f32x4.extract_lane(evens<Format>(v), 0);
  }
  return total;
}

/** The even-numbered of eight 16-bit numbers, as float32. */
// @ts-ignore: decorator
@inline
function evens<Format>(v: v128): v128 {
  if (idof<Format>() == idof<Bf16>()) return i32x4.shl(v, 16);
  return fromUpperF16(i32x4.shl(v, 16));
}

// @ts-ignore: decorator
@inline
function odds<Format>(v: v128): v128 {
  if (idof<Format>() == idof<Bf16>()) return v128.and(v, i32x4.splat(0xffff0000));
  return fromUpperF16(v);
}
