// Many tokens, floating-point weights. Eight rows of weights at a time become a float32 panel [k][8], whatever their storage
// format. Each panel serves all tokens, four at a time, from the first-level cache.

import { BF16, F32 } from '../constants';
import { fromUpperF16, loadBf16, loadF16, rowBytes } from './dtype';
import { madd, transpose } from './lanes';
import { take } from './threads';

/** Rows of weights in a panel. Two registers of outputs for each of four tokens use up the register file. */
const ROWS: u32 = 8;

/** Elements of K in a panel: the panel (8 KB) and its slice of four tokens (4 KB) fit the first-level cache. */
const DEPTH: u32 = 256;

/** See linear. The panel is built in `scratch`, which belongs to this thread. */
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
  for (let n = take(ROWS); n < N; n = take(ROWS)) {
    const rows = min(ROWS, N - n);
    for (let k: u32 = 0; k < K; k += DEPTH) {
      const depth = min(DEPTH, K - k);
      const w = weight + <usize>n * row;
      makePanel(w, row, dtype, k, depth, rows, scratch);
      const first = k == 0;
      let t: u32 = 0;
      for (; t < T && rows == ROWS && T >= 4; t += 4) {
        const start = min(t, T - 4); // the last four overlap tokens that are already done
        const from = x + ((<usize>start * K + k) << 2);
        fourTokens(from, K, scratch, depth, y + ((<usize>start * N + n) << 2), N, first, t - start);
      }
      for (; t < T; t++) {
        oneToken(x + ((<usize>t * K + k) << 2), scratch, depth, y + ((<usize>t * N + n) << 2), rows, first);
      }
    }
    if (bias) addBias(bias + (<usize>n << 2), y + (<usize>n << 2), rows, T, N);
  }
}

/** Packs weights k to k + depth of `rows` rows as [depth, 8]. Missing rows are 0. */
function makePanel(w: usize, row: usize, dtype: u32, k: u32, depth: u32, rows: u32, panel: usize): void {
  const size: usize = dtype == F32 ? 4 : 2;
  const from = w + <usize>k * size;
  let j: u32 = 0;
  if (rows == ROWS) {
    for (; j + 4 <= depth; j += 4) {
      const at = from + <usize>j * size;
      const to = panel + <usize>(j * ROWS * 4);
      transposeRows(dtype, at, row, to);
      transposeRows(dtype, at + 4 * row, row, to + 16);
    }
  }
  for (; j < depth; j++) {
    for (let r: u32 = 0; r < ROWS; r++) {
      const value = r < rows ? loadWeight(dtype, from + <usize>r * row + <usize>j * size) : 0;
      store<f32>(panel + <usize>((j * ROWS + r) << 2), value);
    }
  }
}

/** Loads four numbers from each of four rows and stores them transposed. */
// @ts-ignore: decorator
@inline
function transposeRows(dtype: u32, at: usize, row: usize, to: usize): void {
  const b = at + row;
  const c = b + row;
  const d = c + row;
  if (dtype == F32) transpose(v128.load(at), v128.load(b), v128.load(c), v128.load(d), to);
  else if (dtype == BF16) transpose(loadBf16(at), loadBf16(b), loadBf16(c), loadBf16(d), to);
  else transpose(loadF16(at), loadF16(b), loadF16(c), loadF16(d), to);
}

function loadWeight(dtype: u32, at: usize): f32 {
  if (dtype == F32) return load<f32>(at);
  const upper = <u32>load<u16>(at) << 16;
  if (dtype == BF16) return reinterpret<f32>(upper);
  return f32x4.extract_lane(fromUpperF16(i32x4.splat(upper)), 0);
}

/**
 * Multiplies four tokens, with a stride of K, by a panel. Sets four rows of eight outputs if `first`, otherwise adds to
 * them. The first `done` rows are skipped.
 */
function fourTokens(
  x: usize,
  K: u32,
  panel: usize,
  depth: u32,
  y: usize,
  N: u32,
  first: bool,
  done: u32,
): void {
  const row = <usize>K << 2;
  const end = x + (<usize>depth << 2);
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  const row2 = row << 1;
  const row3 = row2 + row;
  for (; x < end; x += 4, panel += 32) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    let v = v128.load32_splat(x);
    a0 = madd(v, w0, a0);
    a1 = madd(v, w1, a1);
    v = v128.load32_splat(x + row);
    b0 = madd(v, w0, b0);
    b1 = madd(v, w1, b1);
    v = v128.load32_splat(x + row2);
    c0 = madd(v, w0, c0);
    c1 = madd(v, w1, c1);
    v = v128.load32_splat(x + row3);
    d0 = madd(v, w0, d0);
    d1 = madd(v, w1, d1);
  }
  const step = <usize>N << 2;
  if (done < 1) put(y, a0, a1, first);
  if (done < 2) put(y + step, b0, b1, first);
  if (done < 3) put(y + 2 * step, c0, c1, first);
  put(y + 3 * step, d0, d1, first);
}

// @ts-ignore: decorator
@inline
function put(y: usize, low: v128, high: v128, first: bool): void {
  if (!first) {
    low = f32x4.add(low, v128.load(y));
    high = f32x4.add(high, v128.load(y, 16));
  }
  v128.store(y, low);
  v128.store(y, high, 16);
}

/** Multiplies one token by the first `rows` columns of a panel. */
function oneToken(x: usize, panel: usize, depth: u32, y: usize, rows: u32, first: bool): void {
  const end = x + (<usize>depth << 2);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  for (; x < end; x += 4, panel += 32) {
    const v = v128.load32_splat(x);
    a = madd(v, v128.load(panel), a);
    b = madd(v, v128.load(panel, 16), b);
  }
  if (rows == ROWS) return put(y, a, b, first);
  for (let r: u32 = 0; r < rows; r++) {
    const at = y + (<usize>r << 2);
    store<f32>(at, f32x4.extract_lane(a, 0) + (first ? 0 : load<f32>(at)));
    a = v128.shuffle<f32>(a, b, 1, 2, 3, 4);
    b = v128.shuffle<f32>(b, b, 1, 2, 3, 0);
  }
}

function addBias(bias: usize, y: usize, rows: u32, T: u32, N: u32): void {
  for (let t: u32 = 0; t < T; t++) {
    for (let r: u32 = 0; r < rows; r++) {
      const at = y + ((<usize>t * N + r) << 2);
      store<f32>(at, load<f32>(at) + load<f32>(bias + (<usize>r << 2)));
    }
  }
}
