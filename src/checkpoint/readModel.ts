import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { CompactTensor, DTYPES, type Dtype } from '../../reference/lib/compactTensor.js';
import { rows, sizeOf, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { LoadedModel, WeightsHome } from '../../accel/session.js';
import { assemble } from './assemble.js';
import { ROTARY_FREQUENCIES } from './buffers.js';
import {
  canonicalTensors,
  resolveNames,
  type Part,
  type RecordedRoles,
  type Resolution,
  type ResolvedTensor,
  type TensorMap,
} from './names.js';
import { plain, quote } from '../lib/quote.js';
import { isFloatDtype } from './dtype.js';
import { packerFor } from './packer.js';
import { codesOf, withoutScales, type Quantization } from './quantized.js';
import { dtypeOf, isLossless, readTensor } from './readTensor.js';
import { assumptionsOfCodes, computeTable, TABLE, type ComputedCodes } from './computedTable.js';
import { folderSource, openCheckpoint, type CheckpointSource, type OpenCheckpoint } from './source.js';
import { sampleTable } from './tableSample.js';
import type { TensorStore } from './tensorStore.js';
import type { TableReport } from '../codes/describeTable.js';

export interface LoadOptions {
  /** Canonical names for tensors that cannot be identified otherwise. */
  tensorMap?: TensorMap | undefined;
  /** The roles that a recording of the model names; the tensor map comes first. */
  recorded?: RecordedRoles | undefined;
  /** Keys of config.json that replace those of the file, such as `{ n_head: 32 }`. */
  config?: Readonly<Record<string, unknown>> | undefined;
  /** How to hold the matrices of linear layers. Defaults to float32, or to the dtype of a quantized checkpoint. */
  dtype?: Dtype | undefined;
  /** Called as the weights are read. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Aborts loading between two tensors, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The memory to read weights into, such as a backend's; the JavaScript heap by default. */
  home?: WeightsHome | undefined;
}

/** A tensor of the file, its canonical name and how it was identified; both null for a tensor without parameters. */
export interface ReportedTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: number;
  canonical: string | null;
  by: ResolvedTensor['by'] | null;
}

/** What a model folder contains, and what had to be assumed because the folder does not say it. */
export interface LoadReport {
  config: ModelConfig;
  /** Where the weights are. */
  source: string;
  /** How the matrices of linear layers are held. */
  dtype: Dtype;
  /** Whether every weight is exactly as in the file. */
  lossless: boolean;
  tensors: ReportedTensor[];
  /** The number of parameters in each part of the model. */
  parameters: Record<Part, number>;
  /** Config keys that are missing from the file, so that their default applies. */
  assumedKeys: string[];
  /** Keys that config.json has under another name: that name by our key. */
  aliases: Record<string, string>;
  /** Config keys that are missing from the file, whose values the shapes of the tensors show. */
  inferredKeys: string[];
  /** The contents of config.json, with the keys that the caller replaced. */
  configFile: Readonly<Record<string, unknown>>;
  /** Assumptions about what names and shapes do not show. */
  assumptions: string[];
  ignored: { name: string; what: string }[];
  warnings: string[];
  /** What computes the codes of a model without a table; null if the file has one. */
  computedCodes: ComputedCodes['kind'] | null;
}

/** A {@link LoadReport} with a look at the embedding table. */
export interface InspectReport extends LoadReport {
  /** Null for a model without a table. */
  table: TableReport | null;
}

/**
 * Reads a model folder in the layout of Hugging Face: `config.json`, and either `model.safetensors` or shards with a
 * `model.safetensors.index.json`. Only a few tensors are read at a time, so loading needs little memory besides the weights.
 *
 * @throws ConfigError or CheckpointError with a one-line message that names the file and the fault.
 */
export async function readModel(
  folder: Folder,
  options: LoadOptions = {},
): Promise<{ model: LoadedModel; report: LoadReport }> {
  return readModelFrom(folderSource(folder), options);
}

/** Reads a model like {@link readModel}, from a folder or from elsewhere. */
export async function readModelFrom(
  source: CheckpointSource,
  options: LoadOptions,
): Promise<{ model: LoadedModel; report: LoadReport }> {
  const { onProgress, signal, home } = options;
  const allocate = home ? (bytes: number) => home.allocateBytes(bytes) : allocateHeap;
  return withCheckpoint(source, options, async (store, report, resolution, codes) => {
    const total = resolution.tensors.reduce((sum, { name }) => sum + store.tensors.get(name)!.bytes, 0);
    const pack = await packerFor(report.dtype);
    const loaded = new Map<string, Float32Tensor>();
    const queue = resolution.tensors.values();
    let done = 0;
    async function readSome(): Promise<void> {
      for (const resolved of queue) {
        signal?.throwIfAborted();
        const { shape, bytes } = store.tensors.get(resolved.name)!;
        const modelShape = resolved.transposed ? shape.toReversed() : shape;
        const form = dtypeOf(resolved, shape, report.dtype);
        loaded.set(resolved.canonical, await readTensor(store, resolved, modelShape, form, allocate, pack));
        done += bytes;
        onProgress?.(done, total);
      }
    }
    await Promise.all(Array.from({ length: READERS }, readSome));
    if (codes) loaded.set(TABLE, allocateTable(codes, report.config, allocate));
    const weights = assemble(report.config, splitFused(loaded));
    return { model: { config: report.config, weights, ...(home && { home }) }, report };
  });
}

/**
 * Describes a model folder. Of the weights it reads the embedding table alone, and of a large one some rows.
 *
 * @throws as {@link readModel}
 */
export async function describeModel(folder: Folder, options: LoadOptions = {}): Promise<InspectReport> {
  return describeModelFrom(folderSource(folder), options);
}

/** Computes the table of a model without one. */
function allocateTable(
  codes: ComputedCodes,
  config: ModelConfig,
  allocate: (bytes: number) => Uint8Array,
): Float32Tensor {
  const { vocabSize: V, nEmbed: E } = config;
  const { buffer, byteOffset } = allocate(4 * V * E);
  const data = new Float32Array(buffer, byteOffset, V * E);
  data.set(computeTable(codes, config));
  return tensor([V, E], data);
}

/** Describes a model like {@link describeModel}, from a folder or from elsewhere. */
export async function describeModelFrom(source: CheckpointSource, options: LoadOptions): Promise<InspectReport> {
  return withCheckpoint(source, options, async (store, report, { tensors }) => {
    const stored = tensors.find(({ canonical }) => canonical === TABLE);
    return { ...report, table: stored ? await sampleTable(store, stored.name) : null };
  });
}

/** Opens a checkpoint, passes it to `use`, and closes it afterwards. */
async function withCheckpoint<T>(
  source: CheckpointSource,
  { tensorMap = {}, recorded, dtype, config: keys = {} }: LoadOptions,
  use: (store: TensorStore, report: LoadReport, resolution: Resolution, codes: ComputedCodes | null) => Promise<T>,
): Promise<T> {
  checkDtypeName(dtype);
  const opened = await openCheckpoint(source, keys, (method) => {
    checkDtypeFits(dtype, method, source.name);
  });
  const { config, quantization, codes, weights } = opened;
  try {
    const store = hideScales(weights, config, quantization);
    const computed = codes ? [TABLE] : [];
    const resolution = resolveNames([...store.tensors.values()], config, tensorMap, store.name, recorded, computed);
    checkStoredDtypes(store, resolution, quantization);
    await checkFrequencies(store, resolution, config);
    const report = reportOn(store, resolution, opened, dtype ?? quantization ?? 'f32');
    const hasTable = resolution.tensors.some(({ canonical }) => canonical === TABLE);
    if (codes && !hasTable) {
      report.computedCodes = codes.kind;
      report.assumptions.push(...assumptionsOfCodes(codes));
    } else if (codes) {
      report.warnings.push('config.json says how codes are computed, but the file has a table: it is used');
    }
    return await use(store, report, resolution, hasTable ? null : codes);
  } finally {
    await weights.close();
  }
}

/** @throws InputError for a dtype that does not exist, which JavaScript callers can pass. */
function checkDtypeName(dtype: Dtype | undefined): void {
  if (dtype === undefined || DTYPES.includes(dtype)) return;
  throw new InputError(`unknown dtype ${quote(dtype)}; choose one of: ${DTYPES.join(', ')}`);
}

/** A quantized checkpoint cannot be quantized again. */
function checkDtypeFits(dtype: Dtype | undefined, quantization: Quantization | null, name: string): void {
  if (!quantization || !dtype || dtype === 'f32' || dtype === quantization) return;
  throw new CheckpointError(`${name} is ${quantization}; it can be loaded as ${quantization} or f32, not ${dtype}`);
}

function reportOn(
  store: TensorStore,
  resolution: Resolution,
  { config, assumed, aliases, inferred, configFile, warnings }: OpenCheckpoint,
  dtype: Dtype,
): LoadReport {
  const resolved = new Map(resolution.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = [...store.tensors.values()].map((info): ReportedTensor => {
    const { canonical = null, by = null } = resolved.get(info.name) ?? {};
    return { name: info.name, dtype: info.dtype, shape: info.shape, bytes: info.bytes, canonical, by };
  });
  const rounded = tensors.filter((tensor) => tensor.dtype === 'F64' && tensor.canonical !== null);
  return {
    config,
    source: store.name,
    dtype,
    lossless: resolution.tensors.every((tensor) => {
      const stored = store.tensors.get(tensor.name)!;
      return isLossless(stored.dtype, dtypeOf(tensor, stored.shape, dtype));
    }),
    tensors,
    parameters: countParameters(resolution, store, config),
    assumedKeys: assumed,
    aliases,
    inferredKeys: inferred,
    configFile,
    assumptions: resolution.assumptions,
    ignored: resolution.ignored,
    warnings: [...warnings, ...rounded.map(({ name }) => `${plain(name)} is F64 and is rounded to float32`)],
    computedCodes: null,
  };
}

/** Tensors read concurrently, so that disk reads overlap with decoding. */
const READERS = 4;

/** @throws CheckpointError if memory runs out. */
function allocateHeap(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch {
    throw new CheckpointError(`out of memory: cannot allocate a tensor of ${bytes} bytes`);
  }
}

/** A view of a quantized checkpoint that lists each weight in its unpacked shape, and no scales. */
function hideScales(store: TensorStore, config: ModelConfig, quantization: Quantization | null): TensorStore {
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

/** Rejects weights of unsupported types before a gigabyte of others has been read. */
function checkStoredDtypes(store: TensorStore, { tensors }: Resolution, quantization: Quantization | null): void {
  for (const { name } of tensors) {
    const { dtype } = store.tensors.get(name)!;
    if (!isFloatDtype(dtype) && !(quantization && codesOf(dtype))) {
      throw new CheckpointError(`${store.name}: ${plain(name)} is ${dtype}; weights must be F32, F16, BF16 or F64`);
    }
  }
}

/** If a checkpoint contains rotary frequencies, they must match the config's to within 1 percent. */
async function checkFrequencies(store: TensorStore, { ignored }: Resolution, config: ModelConfig): Promise<void> {
  const { dModel: C, nHead: H, ropeTheta } = config;
  const D = C / H;
  for (const { name, what } of ignored) {
    if (what !== ROTARY_FREQUENCIES) continue;
    function fail(found: string): never {
      throw new CheckpointError(
        `${store.name}: ${plain(name)} contains ${found}, but config.json implies rope_theta ${ropeTheta} and ${D / 2} frequencies`,
      );
    }
    const count = sizeOf(store.tensors.get(name)!.shape);
    if (count !== D / 2) fail(`${count} frequencies`);
    const { data } = await store.readFloat32(name);
    const agrees = data.every((f, i) => Math.abs(f * ropeTheta ** ((2 * i) / D) - 1) < 0.01);
    if (!agrees) fail(data.length > 1 ? impliedTheta(data) : `the frequency ${data[0]}`);
  }
}

/** The rope_theta that the first two frequencies imply: they should be theta^0 and theta^(-2/D). */
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

/** Splits fused projections into q, k and v: each is a third of the rows and shares their memory. */
function splitFused(loaded: ReadonlyMap<string, Float32Tensor>): Map<string, Float32Tensor> {
  const split = new Map<string, Float32Tensor>();
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
