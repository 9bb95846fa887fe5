// Many tokens, floating-point weights. Every output is one chain of additions: four lanes along K, K zero-padded to a multiple
// of four, and a horizontal sum at the end. The order does not depend on the number of tokens, and linearOne.ts shares it, so
// a token has the same bits alone and in company.

import { BF16, F32 } from '../constants';
import { loadBf16, loadF16, loadPartHalves, rowBytes } from './dtype';
import { loadPart, madd, sums } from './lanes';
import { take } from './threads';

/** Tokens and rows in a tile. Nine chains, three vectors of weights and one of a token fill V8's registers. */
const TILE: u32 = 3;

/** Rows of weights that a thread takes at once: a multiple of a tile's. Many tokens share their panels. */
const ROWS: u32 = 6;

/** Elements of K computed at once: three rows and three tokens (24 KB) fit the first-level cache. */
const DEPTH: u32 = 1024;

/** Tokens computed at once: the unfinished chains of ROWS rows (72 KB) fit the scratch memory after the panels (24 KB). */
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
  for (let n = take(ROWS); n < N; n = take(ROWS)) {
    const rows = min(ROWS, N - n);
    for (let t: u32 = 0; t < T; t += TOKENS) {
      const tokens = min(TOKENS, T - t);
      const from = x + <usize>t * token;
      for (let k: u32 = 0; k < K; k += DEPTH) {
        const depth = min(DEPTH, K - k);
        makePanels(dtype, weight + <usize>n * row + <usize>k * size, row, rows, depth, scratch);
        multiplyPanels(from + (<usize>k << 2), token, tokens, scratch, rows, depth, k == 0);
      }
      endChains(scratch, tokens, rows, bias ? bias + (<usize>n << 2) : 0, y + ((<usize>t * N + n) << 2), N);
    }
  }
}

/** Packs `depth` weights of each row into panels [depth / 4, 3, 4] of three rows. The last panel repeats the last row. */
function makePanels(dtype: u32, w: usize, row: usize, rows: u32, depth: u32, panels: usize): void {
  for (let r: u32 = 0; r < rows; r += TILE, panels += TILE * DEPTH * 4) {
    for (let i: u32 = 0; i < TILE; i++) {
      packRow(dtype, w + <usize>min(r + i, rows - 1) * row, depth, panels + <usize>(i << 4));
    }
  }
}

function packRow(dtype: u32, w: usize, depth: u32, to: usize): void {
  const whole = depth & ~3;
  const rest = depth & 3;
  if (dtype == F32) {
    for (let k: u32 = 0; k < whole; k += 4, w += 16, to += 48) v128.store(to, v128.load(w));
    if (rest) v128.store(to, loadPart(w, rest));
  } else if (dtype == BF16) {
    for (let k: u32 = 0; k < whole; k += 4, w += 8, to += 48) v128.store(to, loadBf16(w));
    if (rest) v128.store(to, loadPartHalves(true, w, rest));
  } else {
    for (let k: u32 = 0; k < whole; k += 4, w += 8, to += 48) v128.store(to, loadF16(w));
    if (rest) v128.store(to, loadPartHalves(false, w, rest));
  }
}

/** The address of the unfinished chains. */
// @ts-ignore: decorator
@inline
function chainsIn(scratch: usize): usize {
  return scratch + ROWS * DEPTH * 4;
}

/** Multiplies `depth` elements of each token by the panels. Chains start at 0 if `first`. */
function multiplyPanels(
  x: usize,
  token: usize,
  tokens: u32,
  scratch: usize,
  rows: u32,
  depth: u32,
  first: bool,
): void {
  let chains = chainsIn(scratch);
  for (let t: u32 = 0; t < tokens; t += TILE) {
    // where fewer than three tokens are left, the last one is repeated
    const x0 = x + <usize>t * token;
    const x1 = x + <usize>min(t + 1, tokens - 1) * token;
    const x2 = x + <usize>min(t + 2, tokens - 1) * token;
    let panel = scratch;
    for (let r: u32 = 0; r < rows; r += TILE, panel += TILE * DEPTH * 4, chains += CHAINS) {
      multiplyTile(x0, x1, x2, panel, depth, chains, first);
    }
  }
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

/** Sums the lanes of all chains, adds the bias, and stores the outputs. */
function endChains(scratch: usize, tokens: u32, rows: u32, bias: usize, y: usize, N: u32): void {
  let chains = chainsIn(scratch);
  const step = <usize>N << 2;
  for (let t: u32 = 0; t < tokens; t += TILE) {
    for (let r: u32 = 0; r < rows; r += TILE, chains += CHAINS) {
      const count = min(TILE, rows - r);
      const b = bias ? bias + (<usize>r << 2) : 0;
      const to = y + <usize>t * step + (<usize>r << 2);
      endThree(chains, b, to, count);
      if (t + 1 < tokens) endThree(chains + 48, b, to + step, count);
      if (t + 2 < tokens) endThree(chains + 96, b, to + 2 * step, count);
    }
  }
}

/** Ends the three chains of a token and stores the first `count` outputs. */
// @ts-ignore: decorator
@inline
function endThree(chains: usize, bias: usize, y: usize, count: u32): void {
  const c = v128.load(chains, 32);
  let totals = sums(v128.load(chains), v128.load(chains, 16), c, c);
  if (count == TILE) {
    if (bias) totals = f32x4.add(totals, loadPart(bias, TILE));
    v128.store64_lane(y, totals, 0);
    v128.store32_lane(y + 8, totals, 2);
    return;
  }
  if (bias) totals = f32x4.add(totals, loadPart(bias, count));
  v128.store32_lane(y, totals, 0);
  if (count == 2) v128.store32_lane(y + 4, totals, 1);
}
