import type { SafetensorsFile } from '../checkpoint/reader.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import type { GraphNode } from './graph.js';

/** The version of golden files that this reads and writes. */
export const GOLDEN_FORMAT = 1;

/** What a golden file says of itself, as JSON under the key `emergent` of the file's metadata. */
export interface GoldenHeader {
  format: number;
  /** What computed it, such as `PyTorch 2.13.0`. */
  producer: string;
  precision: 'float64' | 'float32';
  tokens: number[];
  /** Of the weights file that it was computed from, if known. */
  weights_sha256?: string;
  /** For files that hold every `step`-th element of a tensor of this shape, and the Euclidean norm of the whole. */
  sampled?: Record<string, { shape: number[]; step: number; norm: number }>;
  /** The checkpoint that the weights are of, if they are hashes. */
  synthetic?: { preset: string; seed: number };
  /** How far PyTorch float32 was from this truth: relative L2 by activation. */
  float32_distance?: Record<string, number>;
}

/** The truth of one activation: all its elements, or every `step`-th and the norm of the whole. */
export interface GoldenTensor {
  data: Float64Array;
  /** Of the whole activation. */
  shape: readonly number[];
  step: number;
  norm: number | null;
}

/** Activations of one sequence, to be compared with. */
export interface Golden {
  name: string;
  header: GoldenHeader;
  tensors: Map<string, GoldenTensor>;
}

/**
 * Reads an opened golden file.
 *
 * @throws InputError if it is no golden file, one of another version, or holds no activation or anything that is not a number.
 */
export async function parseGolden(file: SafetensorsFile): Promise<Golden> {
  const path = file.name;
  const header = parseHeader(file.metadata.emergent, path);
  const tensors: Golden['tensors'] = new Map();
  for (const name of file.tensors.keys()) {
    const { data, shape } = await file.readFloat64(name);
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at !== -1) throw new InputError(`${path}: ${name} holds ${data[at]} at element ${at}: no truth`);
    const sample = header.sampled?.[name] ?? { shape, step: 1, norm: null };
    if (data.length === 0 || data.length !== Math.ceil(sizeOf(sample.shape) / sample.step)) {
      throw new InputError(
        `${path}: ${name} holds ${data.length} elements, which is no sample of ${show(sample.shape)}`,
      );
    }
    tensors.set(name, { data, ...sample });
  }
  if (tensors.size === 0) throw new InputError(`${path} holds no activations: there is nothing to compare with`);
  return { name: path, header, tensors };
}

function parseHeader(text: string | undefined, path: string): GoldenHeader {
  if (text === undefined) {
    throw new InputError(
      `${path} is no golden file: its metadata has no entry "emergent" (golden/run.sh record writes it)`,
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
    throw new InputError(`${path} has the golden format ${found}, this reads ${GOLDEN_FORMAT}: export it anew`);
  }
  const { tokens, precision } = header;
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every((id) => Number.isInteger(id))) {
    throw new InputError(`${path}: "tokens" must be the list of token ids that were run`);
  }
  if (precision !== 'float64' && precision !== 'float32') {
    throw new InputError(`${path}: "precision" must be float64 or float32, got ${JSON.stringify(precision)}`);
  }
  return header as GoldenHeader;
}

/**
 * Checks that a golden file can be of this model: its names are activations of it, its tokens are in the vocabulary.
 *
 * @throws InputError that says what shows that it is of another.
 */
export function checkGolden(golden: Golden, config: ModelConfig, graph: readonly GraphNode[]): void {
  const names = new Set(graph.map(({ name }) => name));
  const unknown = [...golden.tensors.keys()].find((name) => !names.has(name));
  if (unknown !== undefined) {
    const { nLayer: L, normPosition } = config;
    throw new InputError(
      `${golden.name} is of another model: it holds ${unknown}, which a model of ${L} ${normPosition}-norm layers has not`,
    );
  }
  const { tokens } = golden.header;
  const outside = tokens.find((id) => id < 0 || id >= config.vocabSize);
  if (outside !== undefined) {
    throw new InputError(
      `${golden.name} is of another model: token ${outside} is not in a vocabulary of ${config.vocabSize}`,
    );
  }
  const logits = golden.tensors.get('logits');
  if (logits && logits.shape[1] !== config.vocabSize) {
    throw new InputError(`${golden.name} is of another model: its logits are ${show(logits.shape)}`);
  }
  if (tokens.length > config.blockSize) {
    throw new InputError(
      `${golden.name} has ${tokens.length} tokens, which exceed the model's block_size of ${config.blockSize}`,
    );
  }
}

/** @throws CheckpointError if the weights are not those that the golden file was computed from. */
export function checkWeights({ name, header }: Golden, sha256: string | null): void {
  if (header.weights_sha256 === undefined || sha256 === null || header.weights_sha256 === sha256) return;
  throw new CheckpointError(
    `${name} is of other weights: sha256 ${header.weights_sha256.slice(0, 12)}…, the model's is ${sha256.slice(0, 12)}…` +
      ' (--any-weights compares all the same)',
  );
}
