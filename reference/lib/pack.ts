import { CompactTensor, fromBfloat16, GROUP, rowLayout, type CompactDtype } from './compactTensor.js';
import type { Float32Tensor } from './tensor.js';

const { fround } = Math;

/** Packs a matrix [N, K] into fewer bits. */
export function packTensor({ data, shape }: Float32Tensor, dtype: CompactDtype): CompactTensor {
  const [N, K] = shape;
  const { bytes, groups } = rowLayout(dtype, K);
  const packed = new CompactTensor([N, K], dtype, new Uint8Array(N * bytes), new Uint16Array(N * groups));
  packRows(dtype, data, K, packed.codes, packed.scales);
  return packed;
}

/**
 * Packs rows of K weights, in the layout of {@link CompactTensor}.
 *
 * @param values complete rows
 * @param codes receives the codes of these rows
 * @param scales receives the bfloat16 bits of their scales; stays empty for bf16 and f16
 * @returns whether the dtype {@link canHold} all values; if not, discard the result
 */
export type PackRows = (
  dtype: CompactDtype,
  values: Float32Array,
  K: number,
  codes: Uint8Array,
  scales: Uint16Array,
) => boolean;

/** {@link PackRows} in float32 arithmetic, one weight at a time. accel/simd/assembly/pack.ts computes the same bits. */
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
  const size = GROUP[dtype]; // weights in a group
  const width = bytes / groups; // bytes of a group
  for (let n = 0; n * K < values.length; n++) {
    for (let g = 0; g < groups; g++) {
      const start = n * K + g * size;
      const end = Math.min(start + size, (n + 1) * K);
      scales[n * groups + g] = pack(values, start, end, codes, n * bytes + g * width);
    }
  }
  return canHold(dtype, values);
}

/** From here on a number rounds to infinity in float16, whose largest number is 65504. */
const F16_OVERFLOW = 65520;

/** Whether a dtype can hold all values: bf16 holds any, f16 those that do not round to infinity, int8 and int4 finite ones. */
export function canHold(dtype: CompactDtype, values: Float32Array): boolean {
  if (dtype === 'bf16') return true;
  const limit = dtype === 'f16' ? F16_OVERFLOW : Infinity;
  return values.every((value) => Math.abs(value) < limit);
}

function packHalves(values: Float32Array, codes: Uint8Array, convert: (value: number) => number): void {
  for (let i = 0; i < values.length; i++) {
    const bits = convert(values[i]);
    codes[2 * i] = bits & 0xff;
    codes[2 * i + 1] = bits >> 8;
  }
}

/** Rounds the weights of a group to codes −127 to 127. @returns the scale's bits */
function packInt8(values: Float32Array, start: number, end: number, codes: Uint8Array, at: number): number {
  const bits = toBfloat16(Math.abs(largestOf(values, start, end)) / 127);
  const scale = fromBfloat16(bits);
  codes.fill(0, at, at + GROUP.int8);
  if (scale === 0) return bits;
  for (let i = start; i < end; i++) codes[at++] = nearest(fround(values[i] / scale), -127, 127);
  return bits;
}

/** Codes that the extreme weight of a group may take. The one with the smallest total error wins. */
const EXTREME_CODES = [-8.5, -8, -7.5, -7, 7, 7.5];

/**
 * Rounds the weights of a group to codes −8 to 7. The scale may be negative: there is one more code below zero than above
 * it, and either sign of weight can use it.
 *
 * @returns the scale's bits
 */
function packInt4(values: Float32Array, start: number, end: number, codes: Uint8Array, at: number): number {
  const extremeWeight = largestOf(values, start, end);
  let best = 0;
  let minError = Infinity;
  for (const extremeCode of EXTREME_CODES) {
    const bits = toBfloat16(extremeWeight / extremeCode);
    const scale = fromBfloat16(bits);
    if (scale === 0) continue;
    const error = int4Error(values, start, end, scale, fround(scale / extremeWeight));
    if (error < minError) {
      best = bits;
      minError = error;
    }
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

/** Float32 sums of every fourth square, like the four lanes of a vector. */
const squares = new Float32Array(4);

/** Σ ((x / scale − code) · ratio)², the squared error relative to the extreme weight; ratio = scale / extreme weight. */
function int4Error(values: Float32Array, start: number, end: number, scale: number, ratio: number): number {
  squares.fill(0);
  for (let i = start; i < end; i++) {
    const x = fround(values[i] / scale);
    const error = fround(fround(x - nearest(x, -8, 7)) * ratio);
    squares[(i - start) % 4] += fround(error * error);
  }
  return fround(fround(squares[0] + squares[2]) + fround(squares[1] + squares[3]));
}

/** The value farthest from zero, with its sign. Of two equally far it is the positive one. */
function largestOf(values: Float32Array, start: number, end: number): number {
  let max = 0;
  let min = 0;
  for (let i = start; i < end; i++) {
    if (values[i] > max) max = values[i];
    if (values[i] < min) min = values[i];
  }
  return -min > max ? min : max;
}

/** Float32 numbers of this size are 1 apart, so adding it rounds a number to an integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 23;

/** The integer nearest to a float32 of magnitude below 2²², clamped to [min, max]. */
function nearest(x: number, min: number, max: number): number {
  const code = fround(fround(x + ROUNDER) - ROUNDER);
  return code < min ? min : code > max ? max : code;
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bits of the nearest bfloat16, ties to even: the upper half of a float32. */
export function toBfloat16(value: number): number {
  float[0] = value;
  const bits = word[0];
  if (value !== value) return (bits >>> 16) | 0x40; // NaN: rounding could turn it into infinity
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bits of the nearest float16, ties to even: sign, 5 bits of exponent (bias 15), 10 of fraction. */
export function toFloat16(value: number): number {
  float[0] = value;
  const sign = (word[0] >>> 16) & 0x8000;
  const bits = word[0] & 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00; // NaN
  if (bits >= 0x477ff000) return sign | 0x7c00; // F16_OVERFLOW and above
  if (bits < 0x38800000) return sign | roundToEven(Math.abs(float[0]) * 2 ** 24); // below 2^-14: multiples of 2^-24
  return sign | ((bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13);
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
