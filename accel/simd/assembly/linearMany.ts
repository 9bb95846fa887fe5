// Many tokens and weights that are no integers: eight rows of weights at a time are turned into a panel [k][8] of float32, whatever they were stored as,
// and each panel serves all tokens, four at a time, from the nearest cache.

import { Dtype, rowBytes, unpackRow } from './dtype';
import { madd, transpose } from './lanes';
import { take } from './threads';

/** Rows of weights in a panel: two registers of outputs for each of four tokens leave none over. */
const ROWS: u32 = 8;

/** Elements of K in a panel, so that it (8 KB) and its part of four tokens (4 KB) stay in the first cache. */
const DEPTH: u32 = 256;

/** See linear. `scratch` is this thread's: the panel, then eight unpacked rows. */
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
      for (let t: u32 = 0; t < T; t += 4) {
        const from = x + ((<usize>t * K + k) << 2);
        const to = y + ((<usize>t * N + n) << 2);
        const first = k == 0;
        if (t + 4 <= T && rows == ROWS) fourTokens(from, K, scratch, depth, to, N, first);
        else for (let i = t; i < min(t + 4, T); i++) {
          oneToken(x + ((<usize>i * K + k) << 2), scratch, depth, y + ((<usize>i * N + n) << 2), rows, first);
        }
      }
    }
    if (bias) addBias(bias + (<usize>n << 2), y + (<usize>n << 2), rows, T, N);
  }
}

function makePanel(
  w: usize,
  row: usize,
  dtype: u32,
  k: u32,
  depth: u32,
  rows: u32,
  panel: usize,
): void {
  const unpacked = panel + <usize>(DEPTH * ROWS * 4);
  let from = w + (<usize>k << 2);
  let stride = row;
  if (dtype != Dtype.F32) {
    for (let r: u32 = 0; r < rows; r++) {
      unpackRow(dtype, w + <usize>r * row, k, depth, unpacked + <usize>(r * DEPTH * 4));
    }
    from = unpacked;
    stride = DEPTH * 4;
  }
  let j: u32 = 0;
  if (rows == ROWS) {
    for (; j + 4 <= depth; j += 4) {
      const at = from + (<usize>j << 2);
      const to = panel + <usize>(j * ROWS * 4);
      transposeRows(at, stride, to);
      transposeRows(at + 4 * stride, stride, to + 16);
    }
  }
  for (; j < depth; j++) {
    for (let r: u32 = 0; r < ROWS; r++) {
      const value = r < rows ? load<f32>(from + <usize>r * stride + (<usize>j << 2)) : 0;
      store<f32>(panel + <usize>((j * ROWS + r) << 2), value);
    }
  }
}

/** Four numbers of each of four rows. */
// @ts-ignore: decorator
@inline
function transposeRows(from: usize, stride: usize, to: usize): void {
  const third = from + 2 * stride;
  transpose(v128.load(from), v128.load(from + stride), v128.load(third), v128.load(third + stride), to);
}

/** Four tokens K apart times a panel: adds to four rows of eight outputs, or begins them. */
function fourTokens(x: usize, K: u32, panel: usize, depth: u32, y: usize, N: u32, first: bool): void {
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
  put(y, a0, a1, first);
  put(y + step, b0, b1, first);
  put(y + 2 * step, c0, c1, first);
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

/** One token times a panel whose first `rows` columns count. */
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
