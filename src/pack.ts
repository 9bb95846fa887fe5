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
        const group = values.subarray(n * K + g * size, n * K + Math.min((g + 1) * size, K));
        const at = n * bytes + g * width;
        scales[n * groups + g] = pack(group, codes.subarray(at, at + width));
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
function packInt8(group: Float32Array, codes: Uint8Array): number {
  let most = 0;
  for (const value of group) most = Math.max(most, Math.abs(value));
  const bits = toBfloat16(most / 127);
  const scale = fromBfloat16(bits);
  codes.fill(0);
  if (scale === 0) return bits;
  for (let i = 0; i < group.length; i++) codes[i] = Math.max(-127, Math.min(127, Math.round(group[i] / scale)));
  return bits;
}

/** What the largest weight may become: of these, what leaves the least error is taken. */
const EXTREMES = [-8.5, -8, -7.5, -7, 7, 7.5];

/** @returns the scale's bits; a scale may be negative, since there is a code more below zero than above it */
function packInt4(group: Float32Array, codes: Uint8Array): number {
  let largest = 0;
  for (const value of group) if (Math.abs(value) > Math.abs(largest)) largest = value;
  let [best, least] = [0, Infinity];
  for (const extreme of EXTREMES) {
    const bits = toBfloat16(largest / extreme);
    const scale = fromBfloat16(bits);
    if (scale === 0) continue;
    let error = 0;
    for (const value of group) error += (value - scale * code4(value, scale)) ** 2;
    if (error < least) [best, least] = [bits, error];
  }
  codes.fill(0x88); // two codes of 0
  const scale = fromBfloat16(best);
  if (scale === 0) return best;
  const half = GROUP.int4 / 2;
  for (let i = 0; i < group.length; i++) {
    const code = code4(group[i], scale) + 8;
    const at = i % half;
    codes[at] = i < half ? (codes[at] & 0xf0) | code : (codes[at] & 0x0f) | (code << 4);
  }
  return best;
}

function code4(value: number, scale: number): number {
  return Math.max(-8, Math.min(7, Math.round(value / scale)));
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
