import { parseConfig } from './config.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError, ConfigError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import { readJson, type Folder } from '../folder/folder.js';
import { CompactTensor, DTYPES, type Dtype } from '../../reference/lib/compactTensor.js';
import { packRows, type PackRows } from '../../reference/lib/pack.js';
import { rows, sizeOf, tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { LoadedModel, WeightsHome } from '../../accel/session.js';
import { assemble } from './assemble.js';
import { ROTARY_FREQUENCIES } from './buffers.js';
import {
  canonicalTensors,
  resolveNames,
  type Part,
  type Resolution,
  type ResolvedTensor,
  type TensorMap,
} from './names.js';
import { plain } from '../lib/quote.js';
import { isFloatDtype } from './dtype.js';
import { codesOf, parseQuantization, withoutScales, type Quantization } from './quantized.js';
import { dtypeOf, isLossless, readTensor } from './readTensor.js';
import { readSafetensors } from './reader.js';
import { openSharded, type TensorStore } from './sharded.js';

export interface LoadOptions {
  /** Names for tensors that cannot be told otherwise. */
  tensorMap?: TensorMap | undefined;
  /** How to hold the matrices of linear layers; as float32 unless told or the checkpoint is quantised. */
  dtype?: Dtype | undefined;
  /** Called as the weights are read. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Ends loading between two tensors; its reason is then thrown. */
  signal?: AbortSignal | undefined;
  /** The memory to read weights into, such as a backend's; the JavaScript heap by default. */
  home?: WeightsHome | undefined;
}

/** A tensor of the file, what it is for, and how that is known; null for one that holds no parameters. */
export interface ReportedTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: number;
  canonical: string | null;
  by: ResolvedTensor['by'] | null;
}

/** What was read from a model folder, and what was not in it and had to be assumed. */
export interface LoadReport {
  config: ModelConfig;
  /** Where the weights are. */
  source: string;
  /** How the matrices of linear layers are held. */
  dtype: Dtype;
  /** Whether every weight is what it is in the file. */
  lossless: boolean;
  tensors: ReportedTensor[];
  /** Parameters by part of the model. */
  parameters: Record<Part, number>;
  /** Config keys that took their default. */
  assumedKeys: string[];
  /** What names and shapes left open and how it was taken. */
  assumptions: string[];
  ignored: { name: string; what: string }[];
  warnings: string[];
}

/**
 * Reads a model folder in the layout of Hugging Face: `config.json` and `model.safetensors`, or several files with a
 * `model.safetensors.index.json`. Tensor by tensor, so that memory holds the float32 weights and little more.
 *
 * @throws ConfigError or CheckpointError, one line that names the file and the fault.
 */
export async function readModel(
  folder: Folder,
  { tensorMap = {}, dtype, onProgress, signal, home }: LoadOptions = {},
): Promise<{ model: LoadedModel; report: LoadReport }> {
  const allocate = home ? (bytes: number) => home.allocateBytes(bytes) : allocateHeap;
  return withCheckpoint(folder, tensorMap, dtype, async (store, report, resolution) => {
    const total = report.tensors.reduce((sum, { canonical, bytes }) => sum + (canonical === null ? 0 : bytes), 0);
    const pack = await packerFor(report.dtype);
    const loaded = new Map<string, Tensor>();
    const queue = resolution.tensors.values();
    let done = 0;
    async function readSome(): Promise<void> {
      for (const resolved of queue) {
        signal?.throwIfAborted();
        const { shape, bytes } = store.tensors.get(resolved.name)!;
        const turned = resolved.transposed ? shape.toReversed() : shape;
        const form = dtypeOf(resolved, shape, report.dtype);
        loaded.set(resolved.canonical, await readTensor(store, resolved, turned, form, allocate, pack));
        done += bytes;
        onProgress?.(done, total);
      }
    }
    await Promise.all(Array.from({ length: READERS }, readSome));
    const weights = assemble(report.config, splitFused(loaded));
    return { model: { config: report.config, weights, home }, report };
  });
}

/**
 * Says what a model folder holds, reading no weights.
 *
 * @throws as {@link readModel}
 */
export async function describeModel(folder: Folder, { tensorMap = {}, dtype }: LoadOptions = {}): Promise<LoadReport> {
  return withCheckpoint(folder, tensorMap, dtype, (_, report) => Promise.resolve(report));
}

/** Opens a folder's checkpoint, resolves its names, and closes it when `use` is done. */
async function withCheckpoint<T>(
  folder: Folder,
  tensorMap: TensorMap,
  dtype: Dtype | undefined,
  use: (store: TensorStore, report: LoadReport, resolution: Resolution) => Promise<T>,
): Promise<T> {
  if (dtype !== undefined && !DTYPES.includes(dtype)) {
    throw new InputError(`there is no dtype ${JSON.stringify(dtype)}; there is: ${DTYPES.join(', ')}`);
  }
  const configPath = folder.pathOf('config.json');
  const json = await readJson(folder, 'config.json', ConfigError);
  if (json === undefined) throw new ConfigError(`${configPath} does not exist`);
  const { config, assumed } = parseConfig(json, configPath);
  const quantization = parseQuantization(json, configPath);
  if (quantization && dtype && dtype !== 'f32' && dtype !== quantization) {
    throw new CheckpointError(`${folder.name} is ${quantization}; it can be loaded as that or as f32, not as ${dtype}`);
  }
  const file = await openWeights(folder);
  try {
    const store = quantized(file, config, quantization);
    const tensors = [...store.tensors.values()];
    const resolution = resolveNames(tensors, config, tensorMap, store.name);
    checkDtypes(store, resolution, quantization);
    await checkFrequencies(store, resolution, config);
    const resolved = new Map(resolution.tensors.map((tensor) => [tensor.name, tensor]));
    const report: LoadReport = {
      config,
      source: store.name,
      dtype: dtype ?? quantization ?? 'f32',
      lossless: false,
      tensors: tensors.map(({ name, dtype, shape, bytes }) => ({
        ...{ name, dtype, shape, bytes },
        canonical: resolved.get(name)?.canonical ?? null,
        by: resolved.get(name)?.by ?? null,
      })),
      parameters: countParameters(resolution, store, config),
      assumedKeys: assumed,
      assumptions: resolution.assumptions,
      ignored: resolution.ignored,
      warnings: tensors
        .filter(({ name, dtype }) => dtype === 'F64' && resolved.has(name))
        .map(({ name }) => `${plain(name)} is F64, rounded to float32`),
    };
    report.lossless = resolution.tensors.every((it) => {
      const { dtype: stored, shape } = store.tensors.get(it.name)!;
      return isLossless(stored, dtypeOf(it, shape, report.dtype));
    });
    return await use(store, report, resolution);
  } finally {
    await file.close();
  }
}

async function openWeights(folder: Folder): Promise<TensorStore> {
  const [single, index] = ['model.safetensors', 'model.safetensors.index.json'];
  const source = await folder.open(single);
  if (source) return readSafetensors(source);
  const sharded = await openSharded(folder, index);
  if (sharded) return sharded;
  const pickled = folder.files?.find((file) => /\.(bin|pt|pth|ckpt)$/.test(file));
  if (pickled !== undefined) {
    throw new CheckpointError(
      `${folder.pathOf(pickled)} is a Python pickle, which can run code when read: convert it in Python with ` +
        `safetensors.torch.save_file(torch.load("${pickled}", weights_only=True), "${single}")`,
    );
  }
  throw new CheckpointError(`${folder.name} has neither ${single} nor ${index}`);
}

/** Tensors that are read at the same time, so that the disk and the decoding need not wait for each other. */
const READERS = 4;

/** What packs weights: WebAssembly where it has vectors. */
async function packerFor(dtype: Dtype): Promise<PackRows> {
  if (dtype === 'f32') return packRows; // there is nothing to pack
  const { openPacker } = await import('../../accel/simd/pack.js');
  return (await openPacker().catch(() => null)) ?? packRows; // a page may forbid to compile
}

/** @throws CheckpointError if there is no room. */
function allocateHeap(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch {
    throw new CheckpointError(`there is no memory for a tensor of ${bytes} bytes`);
  }
}

/** A quantised checkpoint, its scales out of sight. */
function quantized(store: TensorStore, config: ModelConfig, quantization: Quantization | null): TensorStore {
  if (!quantization) return store;
  const tensors = withoutScales([...store.tensors.values()], config, store.name);
  return {
    name: store.name,
    tensors: new Map(tensors.map((info) => [info.name, info])),
    readFloat32: (name) => store.readFloat32(name),
    readFloats: (name, target, start) => store.readFloats(name, target, start),
    readBytes: (name, target) => store.readBytes(name, target),
    close: () => store.close(),
  };
}

/** Weights of a type that cannot be read are found before a gigabyte of others has been. */
function checkDtypes(store: TensorStore, { tensors }: Resolution, quantization: Quantization | null): void {
  for (const { name } of tensors) {
    const { dtype } = store.tensors.get(name)!;
    if (!isFloatDtype(dtype) && !(quantization && codesOf(dtype))) {
      throw new CheckpointError(`${store.name}: ${plain(name)} is ${dtype}; weights must be F32, F16, BF16 or F64`);
    }
  }
}

/** A checkpoint that brings its rotary frequencies must mean those of the config: fewer than 1 part in 100 apart. */
async function checkFrequencies(store: TensorStore, { ignored }: Resolution, config: ModelConfig): Promise<void> {
  const { dModel: C, nHead: H, ropeTheta } = config;
  const D = C / H;
  for (const { name, what } of ignored) {
    if (what !== ROTARY_FREQUENCIES) continue;
    function fail(found: string): never {
      throw new CheckpointError(
        `${store.name}: ${plain(name)} holds ${found}, but config.json means rope_theta ${ropeTheta} and ${D / 2} of them`,
      );
    }
    const count = sizeOf(store.tensors.get(name)!.shape);
    if (count !== D / 2) fail(`${count} frequencies`);
    const { data } = await store.readFloat32(name);
    const agrees = data.every((f, i) => Math.abs(f * ropeTheta ** ((2 * i) / D) - 1) < 0.01);
    if (!agrees) fail(data.length > 1 ? impliedTheta(data) : `the frequency ${data[0]}`);
  }
}

/** The theta of which the first two frequencies are powers: theta^0 and theta^(-2/D). */
function impliedTheta(frequencies: Float32Array): string {
  const theta = (frequencies[1] / frequencies[0]) ** -frequencies.length;
  return Number.isFinite(theta) ? `a rope_theta of ${theta.toPrecision(4)}` : 'no powers of a rope_theta';
}

function countParameters({ tensors }: Resolution, store: TensorStore, config: ModelConfig): Record<Part, number> {
  const canonical = canonicalTensors(config);
  const counts: Record<Part, number> = { embedding: 0, attention: 0, 'feed-forward': 0, norms: 0, head: 0 };
  for (const tensor of tensors) {
    counts[canonical.get(tensor.canonical)!.part] += sizeOf(store.tensors.get(tensor.name)!.shape);
  }
  return counts;
}

/** Gives fused projections as q, k and v: thirds of their rows, sharing memory. */
function splitFused(loaded: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const split = new Map<string, Tensor>();
  for (const [name, x] of loaded) {
    if (!name.includes('.qkv_proj.')) {
      split.set(name, x);
      continue;
    }
    const third = x.shape[0] / 3;
    ['q', 'k', 'v'].forEach((part, i) => {
      const target = name.replace('.qkv_proj.', `.${part}_proj.`);
      if (x instanceof CompactTensor) split.set(target, x.rows(i * third, (i + 1) * third));
      else if (x.shape.length === 2) split.set(target, rows(x, i * third, (i + 1) * third));
      else split.set(target, tensor([third], x.data.subarray(i * third, (i + 1) * third)));
    });
  }
  return split;
}
