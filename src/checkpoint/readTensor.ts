import { CompactTensor, rowLayout, type CompactDtype, type Dtype } from '../../reference/lib/compactTensor.js';
import { CheckpointError } from '../lib/errors.js';
import { canHold, packRows, type PackRows } from '../../reference/lib/pack.js';
import { sizeOf, tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { ResolvedTensor } from './names.js';
import { codesOf, SCALES } from './quantized.js';
import { plain } from '../lib/quote.js';
import type { TensorStore } from './sharded.js';

export type Allocate = (bytes: number) => Uint8Array;

/** Weights that are packed at a time: rows of about a million elements. */
const SLAB = 2 ** 20;

/**
 * How a tensor is to be held: as asked for, if it is the matrix of a linear layer. Embedding, norms and biases are
 * float32 always; the head, which sees the smallest differences, is never under 8 bits.
 */
export function dtypeOf({ canonical }: ResolvedTensor, shape: readonly number[], dtype: Dtype): Dtype {
  if (shape.length !== 2 || canonical === 'token_embeddings.weight') return 'f32';
  return dtype === 'int4' && canonical === 'lm_head.weight' ? 'int8' : dtype;
}

/**
 * Reads a tensor into memory of the caller's, in the form that is asked for. Larger ones are packed slab by slab, so that
 * hardly more is in memory than what stays.
 *
 * @param shape as the model has it
 * @throws CheckpointError if it cannot be read, or holds a number that the form cannot.
 */
export async function readTensor(
  store: TensorStore,
  { name, transposed }: ResolvedTensor,
  shape: readonly number[],
  dtype: Dtype,
  allocate: Allocate,
  pack: PackRows,
): Promise<Tensor> {
  const stored = store.tensors.get(name)!.dtype;
  const codes = codesOf(stored);
  if (codes) {
    const compact = room(shape, codes, allocate);
    await readCodes(store, name, compact);
    return dtype === 'f32' ? copied({ data: compact.data, shape }, allocate) : compact;
  }
  const size = sizeOf(shape);
  if (transposed) {
    const turned = transpose(await store.readFloat32(name));
    if (dtype === 'f32') return copied(turned, allocate);
    const compact = room(shape, dtype, allocate);
    packInto(compact, turned.data, pack, store, name);
    return compact;
  }
  if (dtype === 'f32') {
    const data = floats(allocate(4 * size), size);
    await store.readFloats(name, data);
    return tensor(shape, data);
  }
  const compact = room(shape, dtype, allocate);
  if (isLossless(stored, dtype) && dtype !== 'f16') {
    await store.readBytes(name, compact.codes);
    return compact;
  }
  const [N, K] = compact.shape;
  const step = Math.min(N, Math.max(1, Math.floor(SLAB / K)));
  const slab = new Float32Array(step * K);
  for (let n = 0; n < N; n += step) {
    const end = Math.min(n + step, N);
    const values = slab.subarray(0, (end - n) * K);
    await store.readFloats(name, values, n * K);
    packInto(compact.rows(n, end), values, pack, store, name);
  }
  return compact;
}

/** Whether numbers of a safetensors dtype are held as they are. */
export function isLossless(stored: string, dtype: Dtype): boolean {
  if (dtype === 'f32') return stored !== 'F64';
  return (dtype === 'bf16' && stored === 'BF16') || (dtype === 'f16' && stored === 'F16') || codesOf(stored) === dtype;
}

async function readCodes(store: TensorStore, name: string, { codes, scales, shape }: CompactTensor): Promise<void> {
  await store.readBytes(name, codes);
  const values = new Float32Array(scales.length);
  await store.readFloats(name + SCALES, values);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad !== -1) {
    const row = Math.floor((bad * shape[0]) / scales.length);
    throw new CheckpointError(`${store.name}: ${plain(name)} has a scale of ${values[bad]} in row ${row}`);
  }
  packRows('bf16', values, values.length, new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength), scales);
}

function packInto(
  { dtype, shape: [, K], codes, scales }: CompactTensor,
  values: Float32Array,
  pack: PackRows,
  store: TensorStore,
  name: string,
): void {
  if (pack(dtype, values, K, codes, scales)) return;
  const bad = values.find((value) => !canHold(dtype, Float32Array.of(value)))!;
  throw new CheckpointError(`${store.name}: ${plain(name)} holds ${bad}, which ${dtype} cannot; bf16 can`);
}

/** A matrix yet to be filled. */
function room(shape: readonly number[], dtype: CompactDtype, allocate: Allocate): CompactTensor {
  const [N, K] = shape;
  const { bytes, groups } = rowLayout(dtype, K);
  const codes = allocate(N * bytes);
  const scales = allocate(2 * N * groups);
  return new CompactTensor([N, K], dtype, codes, new Uint16Array(scales.buffer, scales.byteOffset, N * groups));
}

function copied({ data, shape }: Tensor, allocate: Allocate): Tensor {
  const copy = floats(allocate(4 * data.length), data.length);
  copy.set(data);
  return tensor(shape, copy);
}

function floats({ buffer, byteOffset }: Uint8Array, length: number): Float32Array {
  return new Float32Array(buffer, byteOffset, length);
}

function transpose(x: Tensor): Tensor {
  const [R, C] = x.shape;
  const y = tensor([C, R]);
  for (let r = 0; r < R; r++) for (let c = 0; c < C; c++) y.data[c * R + r] = x.data[r * C + c];
  return y;
}
