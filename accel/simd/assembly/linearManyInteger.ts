// Many tokens, integer weights. Tokens are quantized to 16-bit integers and weight codes are widened to 16 bits. One
// i32x4.dot_i16x8_s multiplies twice as many numbers as a float32 instruction, and its sums are exact within a group. The
// groups of an output are added in order, as in linearOneInteger.ts, so a token has the same bits alone and in company.

import { INT4_GROUP, INT8, INT8_GROUP } from '../constants';
import { groups, loadScale, rowBytes, rowScales } from './dtype';
import { madd, transpose } from './lanes';
import { eightCodes, oneCode, scaleOf } from './quantize';
import { take } from './threads';

/** Tokens and rows of weights in a tile. Two registers of sums for each of four tokens use up the register file. */
const TOKENS: u32 = 4;
const ROWS: u32 = 8;

/** Elements of K in a panel: its codes (4 KB) and its slice of four tokens (2 KB) fit the first-level cache. */
const DEPTH: u32 = 256;

/**
 * Quantizes T tokens of K elements to 16-bit integers, in tiles of four: codes [tiles, K/2, 4, 2] with adjacent pairs per
 * token, then float32 scales [tiles, groups, 4]. The error is at most 2^-16 of the group's largest magnitude.
 */
export function quantizeTokens(x: usize, to: usize, T: u32, K: u32, group: u32): void {
  const tiles = tilesOf(T);
  const n = groups(K, group);
  const scales = to + codesEnd(T, K, group);
  for (let i = take(1); i < tiles * TOKENS; i = take(1)) {
    const tile = i / TOKENS;
    const lane = i % TOKENS;
    const token = x + ((<usize>min(i, T - 1) * K) << 2); // repeat the last token to fill the last tile
    for (let g: u32 = 0; g < n; g++) {
      const k = g * group;
      const codes = to + ((<usize>(tile * n + g) * group * TOKENS) << 1) + (<usize>lane << 2);
      const scale = scales + (<usize>((tile * n + g) * TOKENS + lane) << 2);
      quantizeGroup(token + (<usize>k << 2), min(group, K - k), group, codes, scale);
    }
  }
}

// @ts-ignore: decorator
@inline
function tilesOf(T: u32): u32 {
  return (T + TOKENS - 1) / TOKENS;
}

/** The size of T tokens' codes in bytes; their scales follow. */
// @ts-ignore: decorator
@inline
function codesEnd(T: u32, K: u32, group: u32): usize {
  return (<usize>(tilesOf(T) * TOKENS) * groups(K, group) * group) << 1;
}

/** Quantizes `count` elements and pads with zeros to a whole group. Pairs of codes are stored 16 bytes apart. */
function quantizeGroup(from: usize, count: u32, group: u32, codes: usize, scale: usize): void {
  const inverses = f32x4.splat(scaleOf(from, count, scale));
  const whole = count & ~7;
  for (let i: u32 = 0; i < whole; i += 8, codes += 64) {
    const pairs = eightCodes(from + (<usize>i << 2), inverses);
    v128.store32_lane(codes, pairs, 0);
    v128.store32_lane(codes, pairs, 1, 16);
    v128.store32_lane(codes, pairs, 2, 32);
    v128.store32_lane(codes, pairs, 3, 48);
  }
  for (let i = whole; i < group; i++) {
    const j = i - whole;
    const at = codes + (<usize>(j >> 1) << 4) + (<usize>(j & 1) << 1);
    store<i16>(at, i < count ? oneCode(from + (<usize>i << 2), inverses) : 0);
  }
}

/**
 * See linear. `tokens` comes from {@link quantizeTokens}. `scratch`, which belongs to this thread, holds a panel of codes,
 * its scales and a tile of the result.
 */
export function multiplyManyIntegers(
  tokens: usize,
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
  const group: u32 = dtype == INT8 ? INT8_GROUP : INT4_GROUP;
  const n = groups(K, group);
  const row = rowBytes(dtype, K);
  const scaleRow = rowScales(dtype, K);
  const tokenScales = tokens + codesEnd(T, K, group);
  const panelScales = scratch + ROWS * DEPTH * 2;
  const tile = panelScales + (DEPTH / INT4_GROUP) * ROWS * 4;
  for (let o = take(ROWS); o < N; o = take(ROWS)) {
    const rows = min(ROWS, N - o);
    const w = weight + <usize>o * row;
    const s = scales + <usize>o * scaleRow;
    for (let g: u32 = 0; g < n; g += DEPTH / group) {
      const count = min(DEPTH / group, n - g);
      makePanel(dtype, w, row, rows, g * group, count * group, scratch);
      for (let i: u32 = 0; i < count; i++) {
        for (let r: u32 = 0; r < ROWS; r++) {
          const scale = loadScale(s + <usize>min(r, rows - 1) * scaleRow + <usize>((g + i) << 1));
          store<f32>(panelScales + <usize>((i * ROWS + r) << 2), scale);
        }
      }
      for (let t: u32 = 0; t < T; t += TOKENS) {
        const at = <usize>(t / TOKENS) * n + g;
        const codes = tokens + ((at * group * TOKENS) << 1);
        const to = y + (<usize>(t * N + o) << 2);
        const here = min(TOKENS, T - t);
        if (g == 0) memory.fill(tile, 0, TOKENS * ROWS * 4);
        else copyRows(to, N, tile, ROWS, here, rows);
        multiplyTile(codes, tokenScales + ((at * TOKENS) << 2), scratch, panelScales, count, group, tile);
        if (bias && g + count == n) addBias(tile, bias + (<usize>o << 2), rows);
        copyRows(tile, ROWS, to, N, here, rows);
      }
    }
  }
}

/** Packs codes k to k + depth of `rows` rows as pairs [depth/2, 8, 2]. Missing rows repeat the last one. */
function makePanel(dtype: u32, w: usize, row: usize, rows: u32, k: u32, depth: u32, panel: usize): void {
  for (let r: u32 = 0; r < ROWS; r += 4) {
    const a = w + <usize>min(r, rows - 1) * row;
    const b = w + <usize>min(r + 1, rows - 1) * row;
    const c = w + <usize>min(r + 2, rows - 1) * row;
    const d = w + <usize>min(r + 3, rows - 1) * row;
    const to = panel + (<usize>r << 2);
    for (let j: u32 = 0; j < depth; j += 8) {
      const at = to + <usize>(j * ROWS * 2);
      if (dtype == INT8) {
        const i = k + j;
        transpose(v128.load8x8_s(a + i), v128.load8x8_s(b + i), v128.load8x8_s(c + i), v128.load8x8_s(d + i), at);
      } else {
        const i = (((k + j) / INT4_GROUP) << 4) + (j & 8);
        const upper = (j & 16) != 0;
        transpose(nibbles(a + i, upper), nibbles(b + i, upper), nibbles(c + i, upper), nibbles(d + i, upper), at);
      }
    }
  }
}

/** The lower or upper four bits of eight bytes, minus 8. */
// @ts-ignore: decorator
@inline
function nibbles(at: usize, upper: bool): v128 {
  const bytes = v128.load8x8_u(at);
  return i16x8.sub(upper ? i16x8.shr_u(bytes, 4) : v128.and(bytes, i16x8.splat(15)), i16x8.splat(8));
}

/** Adds the products of four tokens and a panel to a tile of four rows of eight outputs, group by group. */
function multiplyTile(
  codes: usize,
  tokenScales: usize,
  panel: usize,
  panelScales: usize,
  count: u32,
  group: u32,
  tile: usize,
): void {
  for (let g: u32 = 0; g < count; g++, panelScales += 32, tokenScales += 16) {
    let a0 = i32x4.splat(0);
    let a1 = i32x4.splat(0);
    let b0 = i32x4.splat(0);
    let b1 = i32x4.splat(0);
    let c0 = i32x4.splat(0);
    let c1 = i32x4.splat(0);
    let d0 = i32x4.splat(0);
    let d1 = i32x4.splat(0);
    const end = codes + (<usize>group << 3);
    for (; codes < end; codes += 16, panel += 32) {
      const w0 = v128.load(panel);
      const w1 = v128.load(panel, 16);
      let v = v128.load32_splat(codes);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v, w0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v, w1));
      v = v128.load32_splat(codes, 4);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, w0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, w1));
      v = v128.load32_splat(codes, 8);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(v, w0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(v, w1));
      v = v128.load32_splat(codes, 12);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(v, w0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(v, w1));
    }
    const s0 = v128.load(panelScales);
    const s1 = v128.load(panelScales, 16);
    addScaled(tile, a0, a1, s0, s1, v128.load32_splat(tokenScales));
    addScaled(tile + 32, b0, b1, s0, s1, v128.load32_splat(tokenScales, 4));
    addScaled(tile + 64, c0, c1, s0, s1, v128.load32_splat(tokenScales, 8));
    addScaled(tile + 96, d0, d1, s0, s1, v128.load32_splat(tokenScales, 12));
  }
}

// @ts-ignore: decorator
@inline
function addScaled(to: usize, low: v128, high: v128, s0: v128, s1: v128, scale: v128): void {
  v128.store(to, madd(f32x4.convert_i32x4_s(low), f32x4.mul(s0, scale), v128.load(to)));
  v128.store(to, madd(f32x4.convert_i32x4_s(high), f32x4.mul(s1, scale), v128.load(to, 16)), 16);
}

/** Copies `count` numbers of each row; both strides count numbers. */
function copyRows(from: usize, fromStride: u32, to: usize, toStride: u32, rows: u32, count: u32): void {
  for (let r: u32 = 0; r < rows; r++, from += <usize>fromStride << 2, to += <usize>toStride << 2) {
    if (count == ROWS) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    } else {
      for (let i: usize = 0; i < <usize>count << 2; i += 4) store<f32>(to + i, load<f32>(from + i));
    }
  }
}

/** Adds the bias of `count` outputs to each of four rows. */
function addBias(tile: usize, bias: usize, count: u32): void {
  for (let t: u32 = 0; t < TOKENS; t++, tile += ROWS * 4) {
    for (let i: usize = 0; i < <usize>count << 2; i += 4) {
      store<f32>(tile + i, load<f32>(tile + i) + load<f32>(bias + i));
    }
  }
}
