import { CompactTensor, rowLayout, type CompactDtype, type Dtype } from '../../reference/lib/compactTensor.js';
import { CheckpointError } from '../lib/errors.js';
import { canHold, packRows, type PackRows } from '../../reference/lib/pack.js';
import { sizeOf, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { ResolvedTensor } from './names.js';
import { codesOf, SCALES } from './quantized.js';
import { plain } from '../lib/quote.js';
import type { TensorStore } from './tensorStore.js';

export type Allocate = (bytes: number) => Uint8Array;

/** Packing reads whole rows, about this many elements at a time. */
const SLAB = 2 ** 20;

/**
 * The dtype in which to hold a tensor: the requested one for the matrices of linear layers, float32 for the embedding,
 * norms and biases. The head never gets fewer than 8 bits, because small differences between logits matter.
 */
export function dtypeOf(
  { canonical }: Pick<ResolvedTensor, 'canonical'>,
  shape: readonly number[],
  dtype: Dtype,
): Dtype {
  if (shape.length !== 2 || canonical === 'token_embeddings.weight') return 'f32';
  return dtype === 'int4' && canonical === 'lm_head.weight' ? 'int8' : dtype;
}

/**
 * Reads a tensor in the requested dtype into memory from `allocate`. Packing goes slab by slab, so it needs little memory
 * besides the result.
 *
 * @param shape the shape in the model, which is the reverse of the stored one for a transposed tensor
 * @throws CheckpointError if the tensor cannot be read, or contains a number that the dtype cannot represent.
 */
export async function readTensor(
  store: TensorStore,
  { name, transposed }: ResolvedTensor,
  shape: readonly number[],
  dtype: Dtype,
  allocate: Allocate,
  pack: PackRows,
): Promise<Float32Tensor> {
  const stored = store.tensors.get(name)!.dtype;
  const codes = codesOf(stored);
  if (codes) {
    const compact = allocateCompact(shape, codes, allocate);
    await readCodes(store, name, compact);
    return dtype === 'f32' ? copyTo({ data: compact.data, shape }, allocate) : compact;
  }
  const size = sizeOf(shape);
  if (transposed) {
    const oriented = transpose(await store.readFloat32(name));
    if (dtype === 'f32') return copyTo(oriented, allocate);
    const compact = allocateCompact(shape, dtype, allocate);
    packInto(compact, oriented.data, pack, store, name);
    return compact;
  }
  if (dtype === 'f32') {
    const data = asFloat32(allocate(4 * size), size);
    await store.readFloats(name, data);
    return tensor(shape, data);
  }
  const compact = allocateCompact(shape, dtype, allocate);
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

/** Whether holding a stored safetensors dtype as `dtype` keeps every number exactly. */
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
  throw new CheckpointError(`${store.name}: ${plain(name)} contains ${bad}, which ${dtype} cannot represent; bf16 can`);
}

/** Allocates a matrix of a compact dtype. */
function allocateCompact(shape: readonly number[], dtype: CompactDtype, allocate: Allocate): CompactTensor {
  const [N, K] = shape;
  const { bytes, groups } = rowLayout(dtype, K);
  const codes = allocate(N * bytes);
  const scales = allocate(2 * N * groups);
  return new CompactTensor([N, K], dtype, codes, new Uint16Array(scales.buffer, scales.byteOffset, N * groups));
}

/** Copies a tensor into memory from `allocate`. */
function copyTo({ data, shape }: Float32Tensor, allocate: Allocate): Float32Tensor {
  const copy = asFloat32(allocate(4 * data.length), data.length);
  copy.set(data);
  return tensor(shape, copy);
}

/** Views bytes as float32 numbers, without a copy. */
function asFloat32({ buffer, byteOffset }: Uint8Array, length: number): Float32Array {
  return new Float32Array(buffer, byteOffset, length);
}

function transpose(x: Float32Tensor): Float32Tensor {
  const [R, C] = x.shape;
  const y = tensor([C, R]);
  for (let r = 0; r < R; r++) for (let c = 0; c < C; c++) y.data[c * R + r] = x.data[r * C + c];
  return y;
}
