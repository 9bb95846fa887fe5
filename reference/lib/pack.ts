import { CompactTensor, fromBfloat16, GROUP, rowLayout, type CompactDtype } from './compactTensor.js';
import type { Tensor } from './tensor.js';

const { fround } = Math;

/** A matrix [N, K] in fewer bits. */
export function packTensor({ data, shape }: Tensor, dtype: CompactDtype): CompactTensor {
  const [N, K] = shape;
  const { bytes, groups } = rowLayout(dtype, K);
  const packed = new CompactTensor([N, K], dtype, new Uint8Array(N * bytes), new Uint16Array(N * groups));
  packRows(dtype, data, K, packed.codes, packed.scales);
  return packed;
}

/**
 * Packs rows of K weights, in the layout of {@link CompactTensor}.
 *
 * @param values whole rows
 * @param codes and `scales`: as many rows
 * @returns whether the form {@link canHold} them all; what was packed is else of no use
 */
export type PackRows = (
  dtype: CompactDtype,
  values: Float32Array,
  K: number,
  codes: Uint8Array,
  scales: Uint16Array,
) => boolean;

/** {@link PackRows} in float32 arithmetic, one weight at a time: accel/simd/assembly/pack.ts makes the same bits. */
export function packRows(
  dtype: CompactDtype,
  values: Float32Array,
  K: number,
  codes: Uint8Array,
  scales: Uint16Array,
): boolean {
  if (dtype === 'bf16' || dtype === 'f16') {
    packHalves(values, codes, dtype === 'bf16' ? toBfloat16 : toFloat16);
    return canHold(dtype, values);
  }
  const pack = dtype === 'int8' ? packInt8 : packInt4;
  const { bytes, groups } = rowLayout(dtype, K);
  const [size, width] = [GROUP[dtype], bytes / groups];
  for (let n = 0; n * K < values.length; n++) {
    for (let g = 0; g < groups; g++) {
      const start = n * K + g * size;
      const end = Math.min(start + size, (n + 1) * K);
      scales[n * groups + g] = pack(values, start, end, codes, n * bytes + g * width);
    }
  }
  return canHold(dtype, values);
}

/** What rounds to the number after the largest float16. */
const TOO_LARGE = 65520;

/** Whether a form can hold numbers: bf16 as float32 does, float16 those that do not become infinite, integers what is finite. */
export function canHold(dtype: CompactDtype, values: Float32Array): boolean {
  if (dtype === 'bf16') return true;
  const limit = dtype === 'f16' ? TOO_LARGE : Infinity;
  return values.every((value) => Math.abs(value) < limit);
}

function packHalves(values: Float32Array, codes: Uint8Array, convert: (value: number) => number): void {
  for (let i = 0; i < values.length; i++) {
    const bits = convert(values[i]);
    codes[2 * i] = bits & 0xff;
    codes[2 * i + 1] = bits >> 8;
  }
}

/** Codes −127 to 127, to the nearest. @returns the scale's bits */
function packInt8(values: Float32Array, start: number, end: number, codes: Uint8Array, at: number): number {
  const bits = toBfloat16(Math.abs(largestOf(values, start, end)) / 127);
  const scale = fromBfloat16(bits);
  codes.fill(0, at, at + GROUP.int8);
  if (scale === 0) return bits;
  for (let i = start; i < end; i++) codes[at++] = nearest(fround(values[i] / scale), -127, 127);
  return bits;
}

/** What the largest weight may become: of these, what leaves the least error is taken. */
const EXTREMES = [-8.5, -8, -7.5, -7, 7, 7.5];

/** @returns the scale's bits; a scale may be negative, since there is a code more below zero than above it */
function packInt4(values: Float32Array, start: number, end: number, codes: Uint8Array, at: number): number {
  const largest = largestOf(values, start, end);
  let [best, least] = [0, Infinity];
  for (const extreme of EXTREMES) {
    const bits = toBfloat16(largest / extreme);
    const scale = fromBfloat16(bits);
    if (scale === 0) continue;
    const error = lostByInt4(values, start, end, scale, fround(scale / largest));
    if (error < least) [best, least] = [bits, error];
  }
  const half = GROUP.int4 / 2;
  codes.fill(0x88, at, at + half); // two codes of 0
  const scale = fromBfloat16(best);
  if (scale === 0) return best;
  for (let i = start; i < end; i++) {
    const code = nearest(fround(values[i] / scale), -8, 7) + 8;
    const j = i - start;
    if (j < half) codes[at + j] = (codes[at + j] & 0xf0) | code;
    else codes[at + j - half] = (codes[at + j - half] & 0x0f) | (code << 4);
  }
  return best;
}

/** Float32 sums of every fourth square, as four lanes of a vector take them. */
const squares = new Float32Array(4);

/** Σ ((x / scale − code) · scale / largest)²: what is lost, whatever the size of the weights. */
function lostByInt4(values: Float32Array, start: number, end: number, scale: number, ratio: number): number {
  squares.fill(0);
  for (let i = start; i < end; i++) {
    const x = fround(values[i] / scale);
    const missed = fround(fround(x - nearest(x, -8, 7)) * ratio);
    squares[(i - start) % 4] += fround(missed * missed);
  }
  return fround(fround(squares[0] + squares[2]) + fround(squares[1] + squares[3]));
}

/** The value that is furthest from zero, with its sign; the positive one of two. */
function largestOf(values: Float32Array, start: number, end: number): number {
  let [most, least] = [0, 0];
  for (let i = start; i < end; i++) {
    if (values[i] > most) most = values[i];
    if (values[i] < least) least = values[i];
  }
  return -least > most ? least : most;
}

/** Float32 numbers of this size are 1 apart: added to it, others are rounded to whole ones, ties to even. */
const WHOLE = 1.5 * 2 ** 23;

/** The nearest integer to a float32 below 2²² in size, within limits. */
function nearest(x: number, least: number, most: number): number {
  const code = fround(fround(x + WHOLE) - WHOLE);
  return code < least ? least : code > most ? most : code;
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The upper half of a float32, rounded to nearest, ties to even. */
export function toBfloat16(value: number): number {
  float[0] = value;
  const bits = word[0];
  if (value !== value) return (bits >>> 16) | 0x40; // NaN: rounding could make it infinite
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bits of the nearest float16, ties to even: sign, 5 bits of exponent (bias 15), 10 of fraction. */
export function toFloat16(value: number): number {
  float[0] = value;
  const sign = (word[0] >>> 16) & 0x8000;
  const bits = word[0] & 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00; // NaN
  if (bits >= 0x477ff000) return sign | 0x7c00; // TOO_LARGE and more
  if (bits < 0x38800000) return sign | roundToEven(Math.abs(float[0]) * 2 ** 24); // below 2^-14: multiples of 2^-24
  return sign | ((bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13);
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
