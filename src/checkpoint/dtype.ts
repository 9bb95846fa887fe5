import { fromBfloat16, fromFloat16 } from '../../reference/lib/compactTensor.js';

/** The dtypes of the safetensors format (version 0.8) and the bits that one element takes. */
// prettier-ignore
export const DTYPE_BITS: Readonly<Record<string, number>> = {
  F4: 4, F6_E2M3: 6, F6_E3M2: 6,
  BOOL: 8, U8: 8, I8: 8, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8,
  U16: 16, I16: 16, F16: 16, BF16: 16,
  U32: 32, I32: 32, F32: 32,
  U64: 64, I64: 64, F64: 64, C64: 64,
};

/** Whether this machine is little-endian like the format, so that F32 data needs no decoding. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The dtypes that weights may have. All but F64 convert to float32 exactly. */
export type FloatDtype = 'F32' | 'F16' | 'BF16' | 'F64';

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16' || dtype === 'F64';
}

/**
 * Decodes little-endian numbers.
 *
 * @param bytes whole elements of `dtype`, as many as `target` has; any alignment
 * @param target receives the numbers; a Float32Array rounds F64 numbers
 */
export function decodeFloats(bytes: Uint8Array, dtype: FloatDtype, target: Float32Array | Float64Array): void {
  if (dtype === 'BF16' || dtype === 'F16') {
    const decode = dtype === 'BF16' ? fromBfloat16 : fromFloat16;
    for (let i = 0; i < target.length; i++) target[i] = decode(bytes[2 * i] | (bytes[2 * i + 1] << 8));
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < target.length; i++) {
    target[i] = dtype === 'F32' ? view.getFloat32(4 * i, true) : view.getFloat64(8 * i, true);
  }
}
