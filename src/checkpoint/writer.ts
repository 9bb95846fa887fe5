import { EmergentError } from '../../reference/lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import { DTYPE_BITS, LITTLE_ENDIAN } from './dtype.js';
import { MAX_HEADER } from './header.js';
import { hasLoneSurrogate } from '../lib/jsonText.js';
import { quote } from '../lib/quote.js';

/** A tensor in memory that can be written: float32 as F32, float64 as F64. */
export interface WritableTensor {
  readonly data: Float32Array | Float64Array;
  readonly shape: readonly number[];
}

/** The data of a tensor. The bytes of BF16 and F16 are already little-endian. */
type LazyData = Float32Array | Float64Array | Uint8Array;

/** A tensor whose data is made only when it is written, so that a checkpoint need not fit in memory. */
export interface LazyTensor {
  readonly name: string;
  readonly dtype: 'F32' | 'F64' | 'BF16' | 'F16' | 'I8' | 'U8';
  readonly shape: readonly number[];
  readonly make: () => LazyData;
}

/**
 * Yields the bytes of a safetensors file in pieces, without copying the data: first the header, then each tensor. Larger
 * dtypes come before smaller ones, so that each tensor is aligned; otherwise the order is kept. The same input gives the
 * same bytes.
 *
 * @throws EmergentError if a name is duplicate or invalid, or if a tensor's data does not fit its dtype and shape.
 */
export function* encodeLazily(
  tensors: readonly LazyTensor[],
  metadata?: Readonly<Record<string, string>>,
): Generator<Uint8Array, void, undefined> {
  const ordered = tensors.toSorted((a, b) => DTYPE_BITS[b.dtype] - DTYPE_BITS[a.dtype]);
  yield encodeHeader(ordered, metadata);
  for (const { name, dtype, shape, make } of ordered) {
    const data = make();
    const fitsDtype = data instanceof Uint8Array || data.BYTES_PER_ELEMENT * 8 === DTYPE_BITS[dtype];
    if (!fitsDtype || data.byteLength * 8 !== sizeOf(shape) * DTYPE_BITS[dtype]) {
      throw new EmergentError(
        `tensor ${quote(name)}, ${dtype} of shape ${show(shape)}, has ${data.length} elements ` +
          `of ${data.BYTES_PER_ELEMENT} bytes`,
      );
    }
    yield littleEndian(data);
  }
}

/** Encodes the length prefix and the header, padded so that the data begins at a multiple of 8. */
function encodeHeader(tensors: readonly LazyTensor[], metadata?: Readonly<Record<string, string>>): Uint8Array {
  const header = new Map<string, unknown>(metadata ? [['__metadata__', metadata]] : []);
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === '__metadata__') throw new EmergentError('a tensor cannot be called __metadata__');
    if (hasLoneSurrogate(name)) throw new EmergentError(`tensor ${quote(name)} has a name that is not valid Unicode`);
    if (header.has(name)) throw new EmergentError(`two tensors are called ${quote(name)}`);
    const begin = end;
    end += (sizeOf(shape) * DTYPE_BITS[dtype]) / 8;
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER) throw new EmergentError(`a header of ${length} bytes exceeds the limit of 100 MB`);
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

/** Like {@link encodeLazily}, but for tensors in memory. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, WritableTensor>>,
  metadata?: Readonly<Record<string, string>>,
): Generator<Uint8Array, void, undefined> {
  const lazy = Object.entries(tensors).map(([name, { data, shape }]): LazyTensor => {
    return { name, dtype: data instanceof Float32Array ? 'F32' : 'F64', shape, make: () => data };
  });
  return encodeLazily(lazy, metadata);
}

function littleEndian(data: LazyData): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (LITTLE_ENDIAN || data instanceof Uint8Array) return bytes;
  const size = data.BYTES_PER_ELEMENT;
  return bytes.map((_, i) => bytes[i - (i % size) + (size - 1 - (i % size))]);
}
