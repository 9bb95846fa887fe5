import { CompactTensor, fromBfloat16, GROUP, rowLayout, type CompactDtype } from './compactTensor.js';
import type { Tensor } from './tensor.js';

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
 * @returns false if a number is too large for float16, whose infinities nothing here computes with
 */
export function packRows(
  dtype: CompactDtype,
  values: Float32Array,
  K: number,
  codes: Uint8Array,
  scales: Uint16Array,
): boolean {
  if (dtype === 'bf16') packHalves(values, codes, toBfloat16);
  else if (dtype === 'f16') return packHalves(values, codes, toFloat16);
  else {
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
  }
  return true;
}

function packHalves(values: Float32Array, codes: Uint8Array, convert: (value: number) => number): boolean {
  let finite = true;
  for (let i = 0; i < values.length; i++) {
    const bits = convert(values[i]);
    codes[2 * i] = bits & 0xff;
    codes[2 * i + 1] = bits >> 8;
    if ((bits & 0x7c00) === 0x7c00) finite = false; // of float16: infinite or NaN
  }
  return finite;
}

/** Codes to the nearest; the largest weight is 127. @returns the scale's bits */
function packInt8(values: Float32Array, start: number, end: number, codes: Uint8Array, at: number): number {
  const bits = toBfloat16(Math.abs(largestOf(values, start, end)) / 127);
  const scale = fromBfloat16(bits);
  codes.fill(0, at, at + GROUP.int8);
  if (scale === 0) return bits;
  for (let i = start; i < end; i++) codes[at++] = nearest(values[i] / scale, -127, 127);
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
    let error = 0;
    for (let i = start; i < end; i++) {
      const missed = values[i] - scale * nearest(values[i] / scale, -8, 7);
      error += missed * missed;
    }
    if (error < least) [best, least] = [bits, error];
  }
  const half = GROUP.int4 / 2;
  codes.fill(0x88, at, at + half); // two codes of 0
  const scale = fromBfloat16(best);
  if (scale === 0) return best;
  for (let i = start; i < end; i++) {
    const code = nearest(values[i] / scale, -8, 7) + 8;
    const j = i - start;
    if (j < half) codes[at + j] = (codes[at + j] & 0xf0) | code;
    else codes[at + j - half] = (codes[at + j - half] & 0x0f) | (code << 4);
  }
  return best;
}

/** The value that is furthest from zero, with its sign. */
function largestOf(values: Float32Array, start: number, end: number): number {
  let largest = 0;
  for (let i = start; i < end; i++) if (Math.abs(values[i]) > Math.abs(largest)) largest = values[i];
  return largest;
}

function nearest(x: number, least: number, most: number): number {
  const code = Math.floor(x + 0.5);
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
  if (bits >= 0x477ff000) return sign | 0x7c00; // 65520 and more
  if (bits < 0x38800000) return sign | roundToEven(Math.abs(float[0]) * 2 ** 24); // below 2^-14: multiples of 2^-24
  return sign | ((bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13);
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
