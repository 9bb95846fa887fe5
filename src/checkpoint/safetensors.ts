import { CheckpointError, EmergentError } from '../errors.js';
import { show, sizeOf, tensor, type Tensor } from '../tensor.js';
import type { ByteSource } from './byteSource.js';
import { decodeFloats, DTYPE_BITS, isFloatDtype, type FloatDtype } from './dtype.js';
import { LARGEST_HEADER, parseHeader, type Header, type TensorInfo } from './header.js';
import { openFile, writeFileWhole } from './nodeFile.js';

export type { TensorInfo } from './header.js';

/** How much of a tensor that needs decoding is in memory twice. */
const DECODE_CHUNK = 2 ** 20;

/** Whether this machine stores numbers as the format does, so that float32 data needs no decoding. */
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * A safetensors file, its header read and validated, its tensors read one by one when they are asked for:
 * 8 bytes of header length, a JSON header, then the data. https://huggingface.co/docs/safetensors
 */
export class SafetensorsFile {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #source: ByteSource;
  readonly #dataStart: number;

  constructor(source: ByteSource, { tensors, metadata }: Header, dataStart: number) {
    this.#source = source;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#dataStart = dataStart;
  }

  /** What messages call the file. */
  get name(): string {
    return this.#source.name;
  }

  /**
   * A tensor of F32, F16, BF16 or F64 as float32; F64 is rounded, the others are exact.
   *
   * @throws CheckpointError if there is no such tensor or its dtype is none of these.
   */
  async readFloat32(name: string): Promise<Tensor> {
    const { info, dtype } = this.#floats(name);
    const result = tensor(info.shape);
    const { data } = result;
    if (dtype === 'F32' && LITTLE_ENDIAN) {
      await this.#source.readInto(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), this.#position(info));
    } else {
      await this.#decode(info, dtype, data);
    }
    return result;
  }

  /**
   * A tensor as float64, exact for all four dtypes: golden files hold float64 truth.
   *
   * @throws CheckpointError as {@link readFloat32}.
   */
  async readFloat64(name: string): Promise<{ data: Float64Array; shape: readonly number[] }> {
    const { info, dtype } = this.#floats(name);
    const data = new Float64Array(sizeOf(info.shape));
    await this.#decode(info, dtype, data);
    return { data, shape: info.shape };
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #floats(name: string): { info: TensorInfo; dtype: FloatDtype } {
    const info = this.tensors.get(name);
    if (!info) throw new CheckpointError(`${this.name}: there is no tensor "${name}"`);
    const { dtype } = info;
    if (!isFloatDtype(dtype)) {
      throw new CheckpointError(`${this.name}: tensor "${name}" is ${dtype}; only F32, F16, BF16 and F64 can be read`);
    }
    return { info, dtype };
  }

  #position({ begin }: TensorInfo): number {
    return this.#dataStart + begin;
  }

  async #decode(info: TensorInfo, dtype: FloatDtype, target: Float32Array | Float64Array): Promise<void> {
    const bytesEach = DTYPE_BITS[dtype] / 8;
    const step = DECODE_CHUNK / bytesEach;
    const chunk = new Uint8Array(Math.min(DECODE_CHUNK, info.bytes));
    for (let start = 0; start < target.length; start += step) {
      const part = target.subarray(start, start + step);
      const bytes = chunk.subarray(0, part.length * bytesEach);
      await this.#source.readInto(bytes, this.#position(info) + start * bytesEach);
      decodeFloats(bytes, dtype, part);
    }
  }
}

/**
 * Reads and validates the header of a safetensors file. Nothing is allocated for what the header claims before it has
 * been checked against the size of the file.
 *
 * @throws CheckpointError that names the file and the fault; the source is then closed.
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    if (source.size < 8) throw new CheckpointError(`${source.name}: ${source.size} bytes are too few for safetensors`);
    const prefix = new Uint8Array(8);
    await source.readInto(prefix, 0);
    const length = new DataView(prefix.buffer).getBigUint64(0, true);
    if (length > BigInt(LARGEST_HEADER)) {
      throw new CheckpointError(`${source.name}: a header of ${length.toString()} bytes is over the limit of 100 MB`);
    }
    const dataStart = 8 + Number(length);
    if (dataStart > source.size) {
      throw new CheckpointError(
        `${source.name}: the header should take ${length.toString()} bytes, but the file ends after ${source.size - 8}`,
      );
    }
    const header = new Uint8Array(Number(length));
    await source.readInto(header, 8);
    return new SafetensorsFile(source, parseHeader(header, source.size - dataStart, source.name), dataStart);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Opens a safetensors file on disk; {@link SafetensorsFile.close} it when done.
 *
 * @throws CheckpointError that names the file and the fault.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return readSafetensors(await openFile(path));
}

/** What can be written: float32 as F32, float64 as F64. */
export interface WritableTensor {
  readonly data: Float32Array | Float64Array;
  readonly shape: readonly number[];
}

/** A tensor that is made when its turn to be written comes, so that a checkpoint need not be in memory as a whole. */
export interface LazyTensor {
  readonly name: string;
  readonly dtype: 'F32' | 'F64';
  readonly shape: readonly number[];
  readonly make: () => Float32Array | Float64Array;
}

/**
 * The bytes of a safetensors file, piece by piece and without a copy of the data: the header, then each tensor in the
 * order given. The same input gives the same bytes.
 *
 * @throws EmergentError if a tensor's data is not as long as its shape says.
 */
export function* encodeLazily(
  tensors: readonly LazyTensor[],
  metadata?: Readonly<Record<string, string>>,
): Generator<Uint8Array, void, undefined> {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === '__metadata__') throw new EmergentError('no tensor can be called __metadata__');
    const begin = end;
    end += (sizeOf(shape) * DTYPE_BITS[dtype]) / 8;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8; // the data then begins at a multiple of 8
  const head = new Uint8Array(8 + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(json, 8);
  yield head;
  for (const { name, shape, make } of tensors) {
    const data = make();
    if (data.length !== sizeOf(shape)) {
      throw new EmergentError(`tensor "${name}" of shape ${show(shape)} has ${data.length} elements`);
    }
    yield littleEndian(data);
  }
}

/** As {@link encodeLazily}, of tensors that are in memory. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, WritableTensor>>,
  metadata?: Readonly<Record<string, string>>,
): Generator<Uint8Array, void, undefined> {
  const lazy = Object.entries(tensors).map(([name, { data, shape }]): LazyTensor => {
    return { name, dtype: data instanceof Float32Array ? 'F32' : 'F64', shape, make: () => data };
  });
  return encodeLazily(lazy, metadata);
}

function littleEndian(data: Float32Array | Float64Array): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (LITTLE_ENDIAN) return bytes;
  const size = data.BYTES_PER_ELEMENT;
  return bytes.map((_, i) => bytes[i - (i % size) + (size - 1 - (i % size))]);
}

/**
 * Writes a safetensors file. It appears under its name only when it is whole.
 *
 * @throws CheckpointError if it cannot be written.
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, WritableTensor>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writeFileWhole(path, encodeSafetensors(tensors, metadata));
}
