import { toFloat16 } from '../../../reference/lib/pack.js';
import type { Floats } from '../../../reference/lib/tensor.js';

/** The types of tensors that we write, with ggml's names in lower case. */
export type GgufType = 'f32' | 'f16' | 'q8_0' | 'q4_0';

/** ggml's number of each type, the elements in a block, and the block's bytes. */
export const BLOCKS: Readonly<Record<GgufType, { code: number; elements: number; bytes: number }>> = {
  f32: { code: 0, elements: 1, bytes: 4 },
  f16: { code: 1, elements: 1, bytes: 2 },
  q4_0: { code: 2, elements: 32, bytes: 18 },
  q8_0: { code: 8, elements: 32, bytes: 34 },
};

/**
 * Packs float32 numbers as ggml does. A block of 32 has one float16 scale d; q8_0 stores round(x / d) in a byte, q4_0
 * stores ⌊x / d + 8.5⌋ in four bits, the first 16 numbers in the low halves of the bytes.
 *
 * @param values whole rows; for q8_0 and q4_0 a row is a multiple of 32
 * @see ggml/src/ggml-quants.c: quantize_row_q8_0_ref, quantize_row_q4_0_ref
 */
export function packBlocks(type: GgufType, values: Floats): Uint8Array {
  const { elements, bytes } = BLOCKS[type];
  const packed = new Uint8Array((values.length / elements) * bytes);
  const view = new DataView(packed.buffer);
  for (let start = 0, at = 0; start < values.length; start += elements, at += bytes) {
    if (type === 'f32') view.setFloat32(at, values[start], true);
    else if (type === 'f16') view.setUint16(at, toFloat16(values[start]), true);
    else if (type === 'q8_0') packQ8(values, start, view, at);
    else packQ4(values, start, view, at);
  }
  return packed;
}

const { abs, fround } = Math;

function packQ8(values: Floats, start: number, view: DataView, at: number): void {
  let largest = 0;
  for (let i = 0; i < 32; i++) largest = Math.max(largest, abs(values[start + i]));
  const scale = fround(largest / 127);
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  view.setUint16(at, toFloat16(scale), true);
  for (let i = 0; i < 32; i++) view.setInt8(at + 2 + i, roundHalfAway(fround(values[start + i] * inverse)));
}

/** The element of largest magnitude gets code 0, that is −8 times the scale, so the scale has the opposite sign. */
function packQ4(values: Floats, start: number, view: DataView, at: number): void {
  let extreme = 0;
  for (let i = 0; i < 32; i++) if (abs(values[start + i]) > abs(extreme)) extreme = values[start + i];
  const scale = fround(extreme / -8);
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  view.setUint16(at, toFloat16(scale), true);
  function code(i: number): number {
    return Math.min(15, Math.floor(fround(fround(values[start + i] * inverse) + 8.5)));
  }
  for (let i = 0; i < 16; i++) view.setUint8(at + 2 + i, code(i) | (code(i + 16) << 4));
}

/** C's roundf; Math.round rounds −0.5 up. */
function roundHalfAway(x: number): number {
  return Math.sign(x) * Math.floor(abs(x) + 0.5);
}
