// Many tokens, floating-point weights. Every output is one chain of additions: four lanes along K, K zero-padded to a multiple
// of four, and a horizontal sum at the end. The order does not depend on the number of tokens, and linearOne.ts shares it, so
// a token has the same bits alone and in company.

import { BF16, F32 } from '../constants';
import { loadBf16, loadF16, loadPartHalves, rowBytes } from './dtype';
import { loadPart, madd, sums } from './lanes';
import { take, threadCount } from './threads';

/** Tokens and rows in a tile. Nine chains, three vectors of weights and one of a token fill V8's registers. */
const TILE: u32 = 3;

/** Panels of three rows that all tokens share while they are in the cache. */
const PANELS: u32 = 2;

/**
 * A thread takes three stripes of up to this many rows, and each of a panel's rows comes from its own stripe, so every stripe
 * is one sequential read, as in linearOne.ts.
 */
const MAX_STRIPE: u32 = 31;

/** Elements of K computed at once: three rows and three tokens (24 KB) fit the first-level cache. */
const DEPTH: u32 = 1024;

/** Tokens computed at once: the unfinished chains of all panels (72 KB) fit the scratch memory after the panels (24 KB). */
const TOKENS: u32 = 768;

/** The size of a tile's nine unfinished chains in bytes. */
const CHAINS: usize = 144;

/** See linear. `scratch`, which belongs to this thread, holds panels of float32 weights, then unfinished chains. */
export function multiplyMany(
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  T: u32,
  K: u32,
  N: u32,
  dtype: u32,
  scratch: usize,
): void {
  const row = rowBytes(dtype, K);
  const size: usize = dtype == F32 ? 4 : 2;
  const token = <usize>K << 2;
  const piece = TILE * (min(MAX_STRIPE, N / (8 * TILE * threadCount())) | 1); // at least eight pieces per thread
  for (let n = take(piece); n < N; n = take(piece)) {
    const count = min(piece, N - n);
    const stripe = (count + TILE - 1) / TILE;
    for (let t: u32 = 0; t < T; t += TOKENS) {
      const tokens = min(TOKENS, T - t);
      const from = x + <usize>t * token;
      const to = y + ((<usize>t * N + n) << 2);
      for (let s: u32 = 0; s < stripe; s += PANELS) {
        const panels = min(PANELS, stripe - s);
        for (let k: u32 = 0; k < K; k += DEPTH) {
          const depth = min(DEPTH, K - k);
          const w = weight + <usize>n * row + <usize>k * size;
          const part = from + (<usize>k << 2);
          for (let p: u32 = 0; p < panels; p++) {
            const o = s + p;
            const w0 = w + <usize>o * row;
            const w1 = w + <usize>min(o + stripe, count - 1) * row; // the last row is repeated where there is no other
            const w2 = w + <usize>min(o + 2 * stripe, count - 1) * row;
            const x1 = part + <usize>min(1, tokens - 1) * token;
            const x2 = part + <usize>min(2, tokens - 1) * token;
            const panel = panelIn(scratch, p);
            const chains = chainsIn(scratch) + p * CHAINS;
            if (dtype == F32) multiplyFirst<f32>(part, x1, x2, w0, w1, w2, panel, depth, chains, k == 0);
            else if (dtype == BF16) multiplyFirst<Bf16>(part, x1, x2, w0, w1, w2, panel, depth, chains, k == 0);
            else multiplyFirst<F16>(part, x1, x2, w0, w1, w2, panel, depth, chains, k == 0);
          }
          multiplyPanels(part, token, tokens, scratch, panels, depth, k == 0);
        }
        for (let p: u32 = 0; p < panels; p++) {
          const b = bias ? bias + (<usize>n << 2) : 0;
          endChains(chainsIn(scratch) + p * CHAINS, panels * CHAINS, tokens, b, to, s + p, stripe, count, N);
        }
      }
    }
  }
}

/** The address of a panel [DEPTH / 4, 3, 4] of three rows. */
// @ts-ignore: decorator
@inline
function panelIn(scratch: usize, p: u32): usize {
  return scratch + <usize>p * (TILE * DEPTH * 4);
}

/** The address of the unfinished chains. */
// @ts-ignore: decorator
@inline
function chainsIn(scratch: usize): usize {
  return panelIn(scratch, PANELS);
}

/** Tag types: the generic functions are compiled once for each format. */
class Bf16 {}
class F16 {}

/** Four weights as float32. */
// @ts-ignore: decorator
@inline
function loadFour<Format>(w: usize): v128 {
  if (isFloat<Format>()) return v128.load(w);
  return idof<Format>() == idof<Bf16>() ? loadBf16(w) : loadF16(w);
}

/** The last one to three weights as float32, then zeros. */
// @ts-ignore: decorator
@inline
function loadLast<Format>(w: usize, count: u32): v128 {
  if (isFloat<Format>()) return loadPart(w, count);
  return loadPartHalves(idof<Format>() == idof<Bf16>(), w, count);
}

/** Multiplies `depth` elements of all tokens but the first three by the panels. Chains start at 0 if `first`. */
function multiplyPanels(
  x: usize,
  token: usize,
  tokens: u32,
  scratch: usize,
  panels: u32,
  depth: u32,
  first: bool,
): void {
  let chains = chainsIn(scratch) + panels * CHAINS;
  for (let t: u32 = TILE; t < tokens; t += TILE) {
    // where fewer than three tokens are left, the last one is repeated
    const x0 = x + <usize>t * token;
    const x1 = x + <usize>min(t + 1, tokens - 1) * token;
    const x2 = x + <usize>min(t + 2, tokens - 1) * token;
    for (let p: u32 = 0; p < panels; p++, chains += CHAINS) {
      multiplyTile(x0, x1, x2, panelIn(scratch, p), depth, chains, first);
    }
  }
}

/**
 * Like multiplyTile, for the first three tokens: it reads the rows themselves and packs them into a panel for the other
 * tokens. Reading weights from memory takes longer than these products, so they cost nothing.
 */
function multiplyFirst<Format>(
  x0: usize,
  x1: usize,
  x2: usize,
  r0: usize,
  r1: usize,
  r2: usize,
  panel: usize,
  depth: u32,
  chains: usize,
  first: bool,
): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let c2 = f32x4.splat(0);
  if (!first) {
    a0 = v128.load(chains);
    a1 = v128.load(chains, 16);
    a2 = v128.load(chains, 32);
    b0 = v128.load(chains, 48);
    b1 = v128.load(chains, 64);
    b2 = v128.load(chains, 80);
    c0 = v128.load(chains, 96);
    c1 = v128.load(chains, 112);
    c2 = v128.load(chains, 128);
  }
  const whole = <usize>(depth & ~3) << 2;
  const step: usize = isFloat<Format>() ? 16 : 8;
  const rest = depth & 3;
  for (let k: usize = 0; k < whole; k += 16, panel += 48, r0 += step, r1 += step, r2 += step) {
    const w0 = loadFour<Format>(r0);
    const w1 = loadFour<Format>(r1);
    const w2 = loadFour<Format>(r2);
    v128.store(panel, w0);
    v128.store(panel, w1, 16);
    v128.store(panel, w2, 32);
    let v = v128.load(x0 + k);
    a0 = madd(v, w0, a0);
    a1 = madd(v, w1, a1);
    a2 = madd(v, w2, a2);
    v = v128.load(x1 + k);
    b0 = madd(v, w0, b0);
    b1 = madd(v, w1, b1);
    b2 = madd(v, w2, b2);
    v = v128.load(x2 + k);
    c0 = madd(v, w0, c0);
    c1 = madd(v, w1, c1);
    c2 = madd(v, w2, c2);
  }
  if (rest) {
    const w0 = loadLast<Format>(r0, rest);
    const w1 = loadLast<Format>(r1, rest);
    const w2 = loadLast<Format>(r2, rest);
    v128.store(panel, w0);
    v128.store(panel, w1, 16);
    v128.store(panel, w2, 32);
    let v = loadPart(x0 + whole, rest);
    a0 = madd(v, w0, a0);
    a1 = madd(v, w1, a1);
    a2 = madd(v, w2, a2);
    v = loadPart(x1 + whole, rest);
    b0 = madd(v, w0, b0);
    b1 = madd(v, w1, b1);
    b2 = madd(v, w2, b2);
    v = loadPart(x2 + whole, rest);
    c0 = madd(v, w0, c0);
    c1 = madd(v, w1, c1);
    c2 = madd(v, w2, c2);
  }
  v128.store(chains, a0);
  v128.store(chains, a1, 16);
  v128.store(chains, a2, 32);
  v128.store(chains, b0, 48);
  v128.store(chains, b1, 64);
  v128.store(chains, b2, 80);
  v128.store(chains, c0, 96);
  v128.store(chains, c1, 112);
  v128.store(chains, c2, 128);
}

/** Continues nine chains by `depth` elements of three tokens and three rows, or starts them if `first`. */
function multiplyTile(
  x0: usize,
  x1: usize,
  x2: usize,
  panel: usize,
  depth: u32,
  chains: usize,
  first: bool,
): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let c2 = f32x4.splat(0);
  if (!first) {
    a0 = v128.load(chains);
    a1 = v128.load(chains, 16);
    a2 = v128.load(chains, 32);
    b0 = v128.load(chains, 48);
    b1 = v128.load(chains, 64);
    b2 = v128.load(chains, 80);
    c0 = v128.load(chains, 96);
    c1 = v128.load(chains, 112);
    c2 = v128.load(chains, 128);
  }
  const whole = <usize>(depth & ~3) << 2;
  const rest = depth & 3;
  for (let k: usize = 0; k < whole; k += 16, panel += 48) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    const w2 = v128.load(panel, 32);
    let v = v128.load(x0 + k);
    a0 = madd(v, w0, a0);
    a1 = madd(v, w1, a1);
    a2 = madd(v, w2, a2);
    v = v128.load(x1 + k);
    b0 = madd(v, w0, b0);
    b1 = madd(v, w1, b1);
    b2 = madd(v, w2, b2);
    v = v128.load(x2 + k);
    c0 = madd(v, w0, c0);
    c1 = madd(v, w1, c1);
    c2 = madd(v, w2, c2);
  }
  if (rest) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    const w2 = v128.load(panel, 32);
    let v = loadPart(x0 + whole, rest);
    a0 = madd(v, w0, a0);
    a1 = madd(v, w1, a1);
    a2 = madd(v, w2, a2);
    v = loadPart(x1 + whole, rest);
    b0 = madd(v, w0, b0);
    b1 = madd(v, w1, b1);
    b2 = madd(v, w2, b2);
    v = loadPart(x2 + whole, rest);
    c0 = madd(v, w0, c0);
    c1 = madd(v, w1, c1);
    c2 = madd(v, w2, c2);
  }
  v128.store(chains, a0);
  v128.store(chains, a1, 16);
  v128.store(chains, a2, 32);
  v128.store(chains, b0, 48);
  v128.store(chains, b1, 64);
  v128.store(chains, b2, 80);
  v128.store(chains, c0, 96);
  v128.store(chains, c1, 112);
  v128.store(chains, c2, 128);
}

/**
 * Sums the lanes of a panel's chains, adds the bias, and stores outputs o, o + stripe and o + 2 stripe of each token, as far as
 * they are among the first `count`.
 */
function endChains(
  chains: usize,
  chainsStride: usize,
  tokens: u32,
  bias: usize,
  y: usize,
  o: u32,
  stripe: u32,
  count: u32,
  N: u32,
): void {
  const second = o + stripe < count;
  const third = o + 2 * stripe < count;
  const at = <usize>o << 2;
  const step = <usize>stripe << 2;
  let biases = f32x4.splat(0);
  if (bias) {
    biases = v128.load32_zero(bias + at);
    if (second) biases = v128.load32_lane(bias + at + step, biases, 1);
    if (third) biases = v128.load32_lane(bias + at + 2 * step, biases, 2);
  }
  y += at;
  for (let t: u32 = 0; t < tokens; t += TILE, chains += chainsStride) {
    const own = min(TILE, tokens - t);
    let three = chains;
    for (let i: u32 = 0; i < own; i++, three += 48, y += <usize>N << 2) {
      const c = v128.load(three, 32);
      let totals = sums(v128.load(three), v128.load(three, 16), c, c);
      if (bias) totals = f32x4.add(totals, biases);
      v128.store32_lane(y, totals, 0);
      if (second) v128.store32_lane(y + step, totals, 1);
      if (third) v128.store32_lane(y + 2 * step, totals, 2);
    }
  }
}
