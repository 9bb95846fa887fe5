import type { SafetensorsFile } from '../checkpoint/reader.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import type { GraphNode } from './graph.js';

/** The version of the golden file format. */
export const GOLDEN_FORMAT = 1;

/** The header of a golden file: JSON under the key `emergent` of the file's metadata. */
export interface GoldenHeader {
  format: number;
  /** The program that computed the activations, such as `PyTorch 2.13.0`. */
  producer: string;
  precision: 'float64' | 'float32';
  tokens: number[];
  /** The hash of the weights file, if known. */
  weights_sha256?: string;
  /** For sampled tensors: the whole shape, the step between stored elements, and the Euclidean norm of the whole. */
  sampled?: Record<string, { shape: number[]; step: number; norm: number }>;
  /** The synthetic checkpoint, if the weights are hashes. */
  synthetic?: { preset: string; seed: number };
  /** The relative L2 distance of PyTorch float32 from this truth, by activation. */
  float32_distance?: Record<string, number>;
}

/** The truth of one activation: all elements, or every `step`-th element and the norm of the whole. */
export interface GoldenTensor {
  data: Float64Array;
  /** The shape of the whole activation. */
  shape: readonly number[];
  step: number;
  norm: number | null;
}

/** The true activations of one sequence. */
export interface Golden {
  name: string;
  header: GoldenHeader;
  tensors: Map<string, GoldenTensor>;
}

/**
 * Reads an opened golden file.
 *
 * @throws InputError if the file is not a golden file, has another version, or contains no activations or non-finite numbers.
 */
export async function parseGolden(file: SafetensorsFile): Promise<Golden> {
  const path = file.name;
  const header = parseHeader(file.metadata.emergent, path);
  const tensors: Golden['tensors'] = new Map();
  for (const name of file.tensors.keys()) {
    const { data, shape } = await file.readFloat64(name);
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at !== -1)
      throw new InputError(`${path}: ${name} contains ${data[at]} at element ${at}; the truth must be finite`);
    const sample = header.sampled?.[name] ?? { shape, step: 1, norm: null };
    if (data.length === 0 || data.length !== Math.ceil(sizeOf(sample.shape) / sample.step)) {
      throw new InputError(
        `${path}: ${name} has ${data.length} elements, which do not fit a sample of ${show(sample.shape)}`,
      );
    }
    tensors.set(name, { data, ...sample });
  }
  if (tensors.size === 0) throw new InputError(`${path} contains no activations to compare with`);
  return { name: path, header, tensors };
}

function parseHeader(text: string | undefined, path: string): GoldenHeader {
  if (text === undefined) {
    throw new InputError(
      `${path} is not a golden file: its metadata has no entry "emergent" (golden/run.sh record writes it)`,
    );
  }
  let header: Partial<GoldenHeader> | null;
  try {
    header = JSON.parse(text) as Partial<GoldenHeader> | null;
  } catch {
    throw new InputError(`${path}: the entry "emergent" of its metadata is not JSON`);
  }
  if (header?.format !== GOLDEN_FORMAT) {
    const found = JSON.stringify(header?.format);
    throw new InputError(
      `${path} has golden format ${found}, but this version reads ${GOLDEN_FORMAT}; export it again`,
    );
  }
  const { tokens, precision } = header;
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every((id) => Number.isInteger(id))) {
    throw new InputError(`${path}: "tokens" must be a list of token ids`);
  }
  if (precision !== 'float64' && precision !== 'float32') {
    throw new InputError(`${path}: "precision" must be float64 or float32, got ${JSON.stringify(precision)}`);
  }
  return header as GoldenHeader;
}

/**
 * Checks that a golden file fits the model: its names are activations of the model and its tokens are in the vocabulary.
 *
 * @throws InputError that says what does not fit.
 */
export function checkGolden(golden: Golden, config: ModelConfig, graph: readonly GraphNode[]): void {
  const names = new Set(graph.map(({ name }) => name));
  const unknown = [...golden.tensors.keys()].find((name) => !names.has(name));
  if (unknown !== undefined) {
    const { nLayer: L, normPosition } = config;
    throw new InputError(
      `${golden.name} is for another model: it contains ${unknown}, but this model has ${L} ${normPosition}-norm layers`,
    );
  }
  const { tokens } = golden.header;
  const outside = tokens.find((id) => id < 0 || id >= config.vocabSize);
  if (outside !== undefined) {
    throw new InputError(
      `${golden.name} is for another model: token ${outside} is outside the vocabulary of ${config.vocabSize}`,
    );
  }
  const logits = golden.tensors.get('logits');
  if (logits && logits.shape[1] !== config.vocabSize) {
    throw new InputError(`${golden.name} is for another model: its logits have shape ${show(logits.shape)}`);
  }
  if (tokens.length > config.blockSize) {
    throw new InputError(
      `${golden.name} has ${tokens.length} tokens, which exceed the model's block_size of ${config.blockSize}`,
    );
  }
}

/** @throws CheckpointError if the golden file was computed from other weights. */
export function checkWeights({ name, header }: Golden, sha256: string | null): void {
  if (header.weights_sha256 === undefined || sha256 === null || header.weights_sha256 === sha256) return;
  throw new CheckpointError(
    `${name} was made from other weights: sha256 ${header.weights_sha256.slice(0, 12)}…, the model's is ${sha256.slice(0, 12)}…` +
      ' (--any-weights compares anyway)',
  );
}
