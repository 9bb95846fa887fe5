// One token, floating-point weights: its dot products with rows of weights. Each product is one chain of additions, in the
// order of linearMany.ts, so the results have the same bits. Four rows share each load of the token. The rows of a chunk form
// four stripes, and each of the four rows comes from its own stripe, so every stripe is one sequential read. (The hardware
// prefetcher follows one stream per page and restarts after a jump.)

import { fromUpperF16, loadPartHalves } from './dtype';
import { loadPart, madd, sum } from './lanes';

/** y[o] = x · w[o] for `count` rows of K float32 numbers. */
export function dotF32(x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const row = <usize>K << 2;
  const whole = row & ~15;
  const stripe = count >> 2;
  const rowStride = stripe * row;
  const outStride = <usize>stripe << 2;
  for (let o: u32 = 0; o < stripe; o++, w += row, y += 4) {
    const w1 = w + rowStride;
    const w2 = w1 + rowStride;
    const w3 = w2 + rowStride;
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    let c = f32x4.splat(0);
    let d = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 16) {
      const v = v128.load(x + k);
      a = madd(v, v128.load(w + k), a);
      b = madd(v, v128.load(w1 + k), b);
      c = madd(v, v128.load(w2 + k), c);
      d = madd(v, v128.load(w3 + k), d);
    }
    store<f32>(y, endChain(a, x, w, whole, K));
    store<f32>(y + outStride, endChain(b, x, w1, whole, K));
    store<f32>(y + 2 * outStride, endChain(c, x, w2, whole, K));
    store<f32>(y + 3 * outStride, endChain(d, x, w3, whole, K));
  }
  w += 3 * rowStride;
  y += 3 * outStride;
  for (let o = stripe << 2; o < count; o++, w += row, y += 4) {
    let a = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 16) a = madd(v128.load(x + k), v128.load(w + k), a);
    store<f32>(y, endChain(a, x, w, whole, K));
  }
}

/** Adds the last K % 4 products to a chain and ends it. */
// @ts-ignore: decorator
@inline
function endChain(lanes: v128, x: usize, w: usize, whole: usize, K: u32): f32 {
  const rest = K & 3;
  return sum(rest ? madd(loadPart(x + whole, rest), loadPart(w + whole, rest), lanes) : lanes);
}

/** y[o] = x · w[o] for rows of bf16 or f16. */
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
  for (let k: u32 = 0; k < whole; k += 8) {
    const low = v128.load(x + (<usize>k << 2));
    const high = v128.load(x + (<usize>k << 2), 16);
    const at = <usize>k << 1;
    const p = v128.load(w + at);
    const q = v128.load(w1 + at);
    const r = v128.load(w2 + at);
    const s = v128.load(w3 + at);
    a = madd(low, lowHalf<Format>(p), a);
    b = madd(low, lowHalf<Format>(q), b);
    c = madd(low, lowHalf<Format>(r), c);
    d = madd(low, lowHalf<Format>(s), d);
    a = madd(high, highHalf<Format>(p), a);
    b = madd(high, highHalf<Format>(q), b);
    c = madd(high, highHalf<Format>(r), c);
    d = madd(high, highHalf<Format>(s), d);
  }
  store<f32>(y, endOfRow<Format>(a, x, w, whole, K));
  store<f32>(y + outStride, endOfRow<Format>(b, x, w1, whole, K));
  store<f32>(y + 2 * outStride, endOfRow<Format>(c, x, w2, whole, K));
  store<f32>(y + 3 * outStride, endOfRow<Format>(d, x, w3, whole, K));
}

function oneRow<Format>(x: usize, w: usize, y: usize, K: u32): void {
  const whole = K & ~7;
  let a = f32x4.splat(0);
  for (let k: u32 = 0; k < whole; k += 8) {
    const v = v128.load(w + (<usize>k << 1));
    a = madd(v128.load(x + (<usize>k << 2)), lowHalf<Format>(v), a);
    a = madd(v128.load(x + (<usize>k << 2), 16), highHalf<Format>(v), a);
  }
  store<f32>(y, endOfRow<Format>(a, x, w, whole, K));
}

/** Adds the last K % 8 products, from element k on, to a chain and ends it. */
function endOfRow<Format>(lanes: v128, x: usize, w: usize, k: u32, K: u32): f32 {
  if (k + 4 <= K) {
    lanes = madd(v128.load(x + (<usize>k << 2)), lowHalf<Format>(v128.load64_zero(w + (<usize>k << 1))), lanes);
    k += 4;
  }
  if (k == K) return sum(lanes);
  const weights = loadPartHalves(idof<Format>() == idof<Bf16>(), w + (<usize>k << 1), K - k);
  return sum(madd(loadPart(x + (<usize>k << 2), K - k), weights, lanes));
}

/** The first four of eight 16-bit numbers, as float32. */
// @ts-ignore: decorator
@inline
function lowHalf<Format>(v: v128): v128 {
  const upper = v128.shuffle<i16>(i16x8.splat(0), v, 0, 8, 1, 9, 2, 10, 3, 11);
  return idof<Format>() == idof<Bf16>() ? upper : fromUpperF16(upper);
}

/** The last four of eight 16-bit numbers, as float32. */
// @ts-ignore: decorator
@inline
function highHalf<Format>(v: v128): v128 {
  const upper = v128.shuffle<i16>(i16x8.splat(0), v, 4, 12, 5, 13, 6, 14, 7, 15);
  return idof<Format>() == idof<Bf16>() ? upper : fromUpperF16(upper);
}
