import { EmergentError } from '../../../reference/lib/errors.js';
import { sizeOf } from '../../../reference/lib/tensor.js';
import { BLOCKS, type GgufType } from './blocks.js';

/** A value of GGUF's metadata; numbers say their type, because JavaScript has only one. */
export type GgufValue =
  | string
  | boolean
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly strings: readonly string[] }
  | { readonly i32s: readonly number[] };

/** A tensor whose bytes are made only when it is written. Its shape is in PyTorch's order, [N, K] for a matrix. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  readonly shape: readonly number[];
  readonly make: () => Uint8Array;
}

const MAGIC = 0x46554747; // "GGUF", little-endian
const VERSION = 3;
/** Every tensor begins at a multiple of this many bytes; it is the format's default. */
const ALIGNMENT = 32;

/** The numbers of the value types that we write. */
const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };

/** The size of a tensor in bytes. */
export function bytesOf({ type, shape }: GgufTensor): number {
  const { elements, bytes } = BLOCKS[type];
  return (sizeOf(shape) / elements) * bytes;
}

/**
 * Yields the bytes of a GGUF file in pieces: header, metadata, descriptions of the tensors, then their data.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @throws EmergentError if a tensor's data does not have the size of its type and shape.
 */
export function* encodeGguf(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Generator<Uint8Array, void, undefined> {
  const header = new Bytes();
  header.u32(MAGIC);
  header.u32(VERSION);
  header.u64(tensors.length);
  header.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    header.string(key);
    writeValue(header, value);
  }
  let offset = 0;
  for (const each of tensors) {
    header.string(each.name);
    header.u32(each.shape.length);
    for (const size of each.shape.toReversed()) header.u64(size); // GGUF names the fastest dimension first
    header.u32(BLOCKS[each.type].code);
    header.u64(offset);
    offset += aligned(bytesOf(each));
  }
  header.pad();
  yield header.taken();
  for (const each of tensors) {
    const bytes = each.make();
    if (bytes.length !== bytesOf(each)) {
      throw new EmergentError(`tensor ${each.name} has ${bytes.length} bytes, expected ${bytesOf(each)}`);
    }
    yield bytes;
    yield new Uint8Array(aligned(bytes.length) - bytes.length);
  }
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function writeValue(to: Bytes, value: GgufValue): void {
  if (typeof value === 'string') {
    to.u32(TYPE.string);
    to.string(value);
  } else if (typeof value === 'boolean') {
    to.u32(TYPE.bool);
    to.u8(Number(value));
  } else if ('u32' in value) {
    to.u32(TYPE.u32);
    to.u32(value.u32);
  } else if ('f32' in value) {
    to.u32(TYPE.f32);
    to.f32(value.f32);
  } else if ('strings' in value) {
    to.u32(TYPE.array);
    to.u32(TYPE.string);
    to.u64(value.strings.length);
    for (const text of value.strings) to.string(text);
  } else {
    to.u32(TYPE.array);
    to.u32(TYPE.i32);
    to.u64(value.i32s.length);
    for (const number of value.i32s) to.u32(number);
  }
}

/** Little-endian bytes that grow. */
class Bytes {
  #bytes = new Uint8Array(2 ** 16);
  #length = 0;

  u8(value: number): void {
    this.#room(1).setUint8(0, value);
  }

  u32(value: number): void {
    this.#room(4).setUint32(0, value, true);
  }

  u64(value: number): void {
    this.#room(8).setBigUint64(0, BigInt(value), true);
  }

  f32(value: number): void {
    this.#room(4).setFloat32(0, value, true);
  }

  /** A string: its length in bytes, then UTF-8. */
  string(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u64(utf8.length);
    this.#room(utf8.length);
    this.#bytes.set(utf8, this.#length - utf8.length);
  }

  pad(): void {
    this.#room(aligned(this.#length) - this.#length);
  }

  taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Appends zeros and returns a view of them. */
  #room(length: number): DataView {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length));
      grown.set(this.#bytes.subarray(0, start));
      this.#bytes = grown;
    }
    return new DataView(this.#bytes.buffer, start, length);
  }
}
