import { sizeOf, type Float32Tensor } from './tensor.js';

/** The number format of a linear layer's weights. */
export type Dtype = 'f32' | 'bf16' | 'f16' | 'int8' | 'int4';
export type CompactDtype = Exclude<Dtype, 'f32'>;

export const DTYPES: readonly Dtype[] = ['f32', 'bf16', 'f16', 'int8', 'int4'];

/** How many adjacent weights of a row share a scale. Codes of 0 pad a row to whole groups. */
export const GROUP: Readonly<Record<'int8' | 'int4', number>> = { int8: 64, int4: 32 };

/** The size of a row of K weights: bytes of codes, and groups, each with one bfloat16 scale. */
export function rowLayout(dtype: CompactDtype, K: number): { bytes: number; groups: number } {
  if (dtype === 'bf16' || dtype === 'f16') return { bytes: 2 * K, groups: 0 };
  const groups = Math.ceil(K / GROUP[dtype]);
  const groupBytes = dtype === 'int8' ? GROUP.int8 : GROUP.int4 / 2;
  return { bytes: groupBytes * groups, groups };
}

/**
 * A matrix of weights [N, K] in fewer bits, row by row:
 *
 * - bf16, f16: the numbers, 2 bytes each
 * - int8: codes −127 to 127, one scale per 64: w = scale · code
 * - int4: codes −8 to 7, one scale per 32: w = scale · code. A group has 16 bytes: the lower half of byte j holds
 *   code j plus 8, the upper half code j + 16 plus 8.
 */
export class CompactTensor implements Float32Tensor {
  readonly shape: readonly [N: number, K: number];
  readonly dtype: CompactDtype;
  readonly codes: Uint8Array;
  /** The scales as bfloat16 bits, [N, groups]; empty for bf16 and f16. */
  readonly scales: Uint16Array;

  constructor(shape: readonly [number, number], dtype: CompactDtype, codes: Uint8Array, scales: Uint16Array) {
    this.shape = shape;
    this.dtype = dtype;
    this.codes = codes;
    this.scales = scales;
  }

  /** The weights as float32. Every access unpacks them again, so keep the result to use it twice. */
  get data(): Float32Array {
    const values = new Float32Array(sizeOf(this.shape));
    const { bytes, groups } = rowLayout(this.dtype, this.shape[1]);
    for (let n = 0; n < this.shape[0]; n++) {
      const codes = this.codes.subarray(n * bytes, (n + 1) * bytes);
      const scales = this.scales.subarray(n * groups, (n + 1) * groups);
      unpackRow(this.dtype, codes, scales, values.subarray(n * this.shape[1], (n + 1) * this.shape[1]));
    }
    return values;
  }

  /** Rows `start` to `end` (exclusive), as a view. */
  rows(start: number, end: number): CompactTensor {
    const { bytes, groups } = rowLayout(this.dtype, this.shape[1]);
    const codes = this.codes.subarray(start * bytes, end * bytes);
    const scales = this.scales.subarray(start * groups, end * groups);
    return new CompactTensor([end - start, this.shape[1]], this.dtype, codes, scales);
  }
}

const half = GROUP.int4 / 2;

function unpackRow(dtype: CompactDtype, codes: Uint8Array, scales: Uint16Array, values: Float32Array): void {
  for (let k = 0; k < values.length; k++) {
    if (dtype === 'bf16') values[k] = fromBfloat16(codes[2 * k] | (codes[2 * k + 1] << 8));
    else if (dtype === 'f16') values[k] = fromFloat16(codes[2 * k] | (codes[2 * k + 1] << 8));
    else if (dtype === 'int8') values[k] = fromBfloat16(scales[Math.floor(k / GROUP.int8)]) * ((codes[k] << 24) >> 24);
    else {
      const group = Math.floor(k / GROUP.int4);
      const j = k % GROUP.int4;
      const byte = codes[group * half + (j % half)];
      values[k] = fromBfloat16(scales[group]) * ((j < half ? byte & 15 : byte >> 4) - 8);
    }
  }
}

const word = new Uint32Array(1);
const wordAsFloat = new Float32Array(word.buffer);

/** The number that bfloat16 bits stand for: they are the upper half of a float32. */
export function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return wordAsFloat[0];
}

/** Every float16, indexed by its bits: sign, 5 bits of exponent (bias 15), 10 bits of fraction. */
const HALF: Float32Array = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

/** The number that float16 bits stand for. */
export function fromFloat16(bits: number): number {
  return HALF[bits];
}
