import { CheckpointError } from '../lib/errors.js';
import { sizeOf, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { ByteSource } from '../folder/byteSource.js';
import { decodeFloats, DTYPE_BITS, isFloatDtype, LITTLE_ENDIAN, type FloatDtype } from './dtype.js';
import { MAX_HEADER, parseHeader, type Header, type TensorInfo } from './header.js';
import { recognize, RECOGNIZED_BYTES } from '../lib/contents.js';
import { quote } from '../lib/quote.js';
import type { TensorStore } from './tensorStore.js';

/** Bytes decoded at a time. */
const DECODE_CHUNK = 2 ** 20;

/**
 * An open safetensors file: 8 bytes of header length, a JSON header, then the data. The header has been validated. Each
 * tensor is read on request. https://huggingface.co/docs/safetensors
 */
export class SafetensorsFile implements TensorStore {
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

  /** The name to use in messages. */
  get name(): string {
    return this.#source.name;
  }

  async readFloat32(name: string): Promise<Float32Tensor> {
    const { info } = this.#floats(name);
    const data = this.#allocate(info, Float32Array);
    await this.readFloats(name, data);
    return { data, shape: info.shape };
  }

  async readFloats(name: string, target: Float32Array, start = 0): Promise<void> {
    const { info, dtype } = this.#floats(name);
    if (dtype === 'F32' && LITTLE_ENDIAN) {
      const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
      await this.#source.readInto(bytes, this.#position(info) + 4 * start);
    } else {
      await this.#decode(info, dtype, target, start);
    }
  }

  async readBytes(name: string, target: Uint8Array): Promise<void> {
    await this.#source.readInto(target, this.#position(this.tensors.get(name)!));
  }

  /**
   * Reads a tensor as float64, exactly for all four dtypes. Golden files contain float64 truth.
   *
   * @throws CheckpointError as {@link readFloat32}.
   */
  async readFloat64(name: string): Promise<{ data: Float64Array; shape: readonly number[] }> {
    const { info, dtype } = this.#floats(name);
    const data = this.#allocate(info, Float64Array);
    await this.#decode(info, dtype, data, 0);
    return { data, shape: info.shape };
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #floats(name: string): { info: TensorInfo; dtype: FloatDtype } {
    const info = this.tensors.get(name);
    if (!info) throw new CheckpointError(`${this.name} has no tensor ${quote(name)}`);
    const { dtype } = info;
    if (!isFloatDtype(dtype)) {
      throw new CheckpointError(
        `${this.name}: tensor ${quote(name)} is ${dtype}; only F32, F16, BF16 and F64 can be read`,
      );
    }
    return { info, dtype };
  }

  /** Can fail although the file is that long: a sparse file may be larger than memory. */
  #allocate<T>({ name, shape }: TensorInfo, Floats: new (length: number) => T): T {
    try {
      return new Floats(sizeOf(shape));
    } catch {
      throw new CheckpointError(
        `${this.name}: tensor ${quote(name)} is too large for memory: ${sizeOf(shape)} numbers`,
      );
    }
  }

  #position({ begin }: TensorInfo): number {
    return this.#dataStart + begin;
  }

  async #decode(
    info: TensorInfo,
    dtype: FloatDtype,
    target: Float32Array | Float64Array,
    start: number,
  ): Promise<void> {
    const bytesEach = DTYPE_BITS[dtype] / 8;
    const step = DECODE_CHUNK / bytesEach;
    const chunk = new Uint8Array(Math.min(DECODE_CHUNK, info.bytes));
    for (let done = 0; done < target.length; done += step) {
      const part = target.subarray(done, done + step);
      const bytes = chunk.subarray(0, part.length * bytesEach);
      await this.#source.readInto(bytes, this.#position(info) + (start + done) * bytesEach);
      decodeFloats(bytes, dtype, part);
    }
  }
}

/**
 * Reads and validates the header of a safetensors file. Sizes in the header are checked against the file size before
 * anything is allocated.
 *
 * @throws CheckpointError that names the file and the fault, after closing the source.
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    if (source.size < 8) {
      const empty = source.size === 0 ? ': the file is empty, download or copy it again' : '';
      throw new CheckpointError(`${source.name}: ${source.size} bytes are too few for safetensors${empty}`);
    }
    const known = await recognizeSource(source);
    if (known !== null) throw new CheckpointError(`${source.name}: ${known}`);
    const prefix = new Uint8Array(8);
    await source.readInto(prefix, 0);
    const length = new DataView(prefix.buffer).getBigUint64(0, true);
    if (length > BigInt(MAX_HEADER)) {
      throw new CheckpointError(`${source.name}: a header of ${length.toString()} bytes exceeds the limit of 100 MB`);
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

/** What a file is that is called safetensors but is something else well known; null otherwise. */
async function recognizeSource(source: ByteSource): Promise<string | null> {
  const start = new Uint8Array(Math.min(RECOGNIZED_BYTES, source.size));
  await source.readInto(start, 0);
  const hasHeader = start[8] === 0x7b; // every header begins with {, whatever its length looks like
  return hasHeader ? null : recognize(start, source.size);
}
