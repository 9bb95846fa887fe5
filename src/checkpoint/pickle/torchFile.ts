import { sizeOf, tensor, type Float32Tensor } from '../../../reference/lib/tensor.js';
import type { ByteSource } from '../../folder/byteSource.js';
import { CheckpointError } from '../../lib/errors.js';
import { plain, quote } from '../../lib/quote.js';
import { decodeFloats, DTYPE_BITS, isFloatDtype, LITTLE_ENDIAN, type FloatDtype } from '../dtype.js';
import type { TensorInfo } from '../header.js';
import type { TensorStore } from '../tensorStore.js';
import { findStateDict, type StateDict } from './stateDict.js';
import { tensorVocabulary, type StoredTensor } from './tensors.js';
import { unpickle } from './unpickle.js';
import { listZip } from './zip.js';

/** The largest pickle that is read, in bytes. The numbers of tensors are not in it. */
const MAX_PICKLE = 32 * 2 ** 20;

/** Elements decoded at a time. */
const DECODE_CHUNK = 2 ** 18;

/** An old file of PyTorch begins with a pickle of this number. */
const LEGACY_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/**
 * An open file of `torch.save`: a zip archive of a pickle and of one file for each storage. The pickle has been read
 * without running it. Numbers are read on request.
 *
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
 */
export class TorchFile implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The configuration that lies beside the state dict, and what was done to find the state dict. */
  readonly config: StateDict['config'];
  readonly notes: readonly string[];
  readonly #source: ByteSource;
  readonly #stored: ReadonlyMap<string, StoredTensor>;
  readonly #swapsBytes: boolean;
  /** Storages of tensors that are being read and whose elements lie apart. */
  readonly #spans = new Map<string, Promise<Uint8Array>>();

  constructor(source: ByteSource, { tensors, config, notes }: StateDict, isBigEndian: boolean) {
    this.#source = source;
    this.#stored = tensors;
    this.#swapsBytes = isBigEndian;
    this.config = config;
    this.notes = notes;
    this.tensors = new Map([...tensors].map(([name, stored]) => [name, infoOf(name, stored)]));
  }

  /** The name to use in messages. */
  get name(): string {
    return this.#source.name;
  }

  async readFloat32(name: string): Promise<Float32Tensor> {
    const x = this.#allocate(name);
    await this.readFloats(name, x.data);
    return x;
  }

  async readFloats(name: string, target: Float32Array, start = 0): Promise<void> {
    const dtype = this.#floatDtype(name);
    if (dtype === 'F32' && LITTLE_ENDIAN) {
      await this.#readElements(name, new Uint8Array(target.buffer, target.byteOffset, target.byteLength), start);
      return;
    }
    const bytesEach = DTYPE_BITS[dtype] / 8;
    const chunk = new Uint8Array(bytesEach * Math.min(DECODE_CHUNK, target.length));
    for (let done = 0; done < target.length; done += DECODE_CHUNK) {
      const part = target.subarray(done, done + DECODE_CHUNK);
      const bytes = chunk.subarray(0, part.length * bytesEach);
      await this.#readElements(name, bytes, start + done);
      decodeFloats(bytes, dtype, part);
    }
  }

  async readBytes(name: string, target: Uint8Array): Promise<void> {
    await this.#readElements(name, target, 0);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #floatDtype(name: string): FloatDtype {
    const stored = this.#stored.get(name);
    if (!stored) throw new CheckpointError(`${this.name} has no tensor ${quote(name)}`);
    const { dtype } = stored.storage;
    if (isFloatDtype(dtype)) return dtype;
    throw new CheckpointError(
      `${this.name}: tensor ${plain(name)} is ${dtype}; only F32, F16, BF16 and F64 can be read`,
    );
  }

  #allocate(name: string): Float32Tensor {
    this.#floatDtype(name);
    const { shape } = this.#stored.get(name)!;
    try {
      return tensor(shape, new Float32Array(sizeOf(shape)));
    } catch {
      throw new CheckpointError(
        `${this.name}: tensor ${plain(name)} is too large for memory: ${sizeOf(shape)} numbers`,
      );
    }
  }

  /** Fills `target` with elements from `begin` on, in the order of the tensor, as little-endian bytes. */
  async #readElements(name: string, target: Uint8Array, begin: number): Promise<void> {
    const stored = this.#stored.get(name)!;
    const { storage, start, shape, strides } = stored;
    const size = DTYPE_BITS[storage.dtype] / 8;
    if (isContiguous(shape, strides)) {
      await this.#source.readInto(target, storage.offset + (start + begin) * size);
    } else {
      const span = this.#spans.get(name) ?? this.#readSpan(stored, size);
      this.#spans.set(name, span);
      gather(await span, target, shape, strides, begin, size);
      if (begin + target.length / size >= sizeOf(shape)) this.#spans.delete(name);
    }
    if (this.#swapsBytes) swapBytes(target, size);
  }

  /** Reads the part of a storage that a tensor uses. */
  async #readSpan({ storage, start, shape, strides }: StoredTensor, size: number): Promise<Uint8Array> {
    const length = 1 + shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], 0);
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(length * size);
    } catch {
      throw new CheckpointError(`${this.name}: a storage of ${length * size} bytes is too large for memory`);
    }
    await this.#source.readInto(bytes, storage.offset + start * size);
    return bytes;
  }
}

function infoOf(name: string, { storage, start, shape }: StoredTensor): TensorInfo {
  const { dtype, offset } = storage;
  const size = DTYPE_BITS[dtype] / 8;
  return { name, dtype, shape, begin: offset + start * size, bytes: sizeOf(shape) * size };
}

/** Whether the elements lie one after the other. The stride of a dimension of 1 does not matter. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (sizeOf(shape) === 0) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

/** Copies elements of `size` bytes that lie apart. */
function gather(
  from: Uint8Array,
  to: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  begin: number,
  size: number,
): void {
  const index = shape.map(() => 0);
  let rest = begin;
  for (let i = shape.length - 1; i >= 0; i--) {
    index[i] = rest % shape[i];
    rest = Math.floor(rest / shape[i]);
  }
  let at = index.reduce((sum, n, i) => sum + n * strides[i], 0);
  for (let done = 0; done < to.length; done += size) {
    for (let b = 0; b < size; b++) to[done + b] = from[at * size + b];
    for (let i = shape.length - 1; i >= 0; i--) {
      at += strides[i];
      if (++index[i] < shape[i]) break;
      at -= shape[i] * strides[i];
      index[i] = 0;
    }
  }
}

/** Reverses the bytes of each element. */
function swapBytes(bytes: Uint8Array, size: number): void {
  for (let i = 0; i + size <= bytes.length; i += size) bytes.subarray(i, i + size).reverse();
}

/**
 * Opens a file of `torch.save` (PyTorch 1.6 or later) without running its pickle.
 *
 * @throws CheckpointError that names the file and the fault, after closing the source.
 */
export async function readTorchFile(source: ByteSource): Promise<TorchFile> {
  try {
    await checkKind(source);
    const files = await listZip(source);
    const pickles = [...files.keys()].filter((name) => /^([^/]+\/)?data\.pkl$/.test(name));
    if (pickles.length !== 1) {
      throw new CheckpointError(`${source.name}: this zip archive is not a file of torch.save: it has no data.pkl`);
    }
    const root = pickles[0].slice(0, -'data.pkl'.length);
    const { offset, size } = files.get(pickles[0])!;
    if (size > MAX_PICKLE) {
      throw new CheckpointError(`${source.name}: its pickle takes ${size} bytes, over the limit of 32 MiB`);
    }
    const bytes = new Uint8Array(size);
    await source.readInto(bytes, offset);
    const vocabulary = tensorVocabulary((key) => files.get(`${root}data/${key}`));
    const found = findStateDict(unpickle(bytes, vocabulary, source.name), source.name);
    for (const [name, { shape, storage }] of found.tensors) {
      if (sizeOf(shape) <= storage.length) continue;
      throw new CheckpointError(
        `${source.name}: ${plain(name)} is expanded from fewer numbers: save it with .contiguous() in Python`,
      );
    }
    return new TorchFile(source, found, await isBigEndian(source, files.get(`${root}byteorder`)));
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** @throws CheckpointError if a file is not a zip archive; says what it is instead. */
async function checkKind(source: ByteSource): Promise<void> {
  const start = new Uint8Array(Math.min(16, source.size));
  await source.readInto(start, 0);
  if (start[0] === 0x50 && start[1] === 0x4b) return;
  if (LEGACY_MAGIC.every((byte, i) => start[i] === byte)) {
    throw new CheckpointError(
      `${source.name} has the format of PyTorch before 1.6, which is not read here: rewrite it in Python with ` +
        'torch.save(torch.load(path, weights_only=True), path)',
    );
  }
  if (start[0] === 0x80) {
    throw new CheckpointError(
      `${source.name} is a bare pickle, not a file of torch.save: save model.state_dict() with torch.save`,
    );
  }
  throw new CheckpointError(
    source.size === 0
      ? `${source.name}: the file is empty: download or copy it again`
      : `${source.name} is not a file of torch.save: it is no zip archive`,
  );
}

/** PyTorch records the byte order of the machine that wrote the file; files without a record are little-endian. */
async function isBigEndian(source: ByteSource, entry: { offset: number; size: number } | undefined): Promise<boolean> {
  if (!entry) return false;
  const bytes = new Uint8Array(Math.min(entry.size, 20));
  await source.readInto(bytes, entry.offset);
  const order = new TextDecoder().decode(bytes);
  if (order === 'little' || order === 'big') return order === 'big';
  throw new CheckpointError(`${source.name}: its byteorder must be little or big, got ${quote(order)}`);
}
