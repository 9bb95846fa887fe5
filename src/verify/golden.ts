import * as v from 'valibot';
import type { FloatDtype } from '../checkpoint/dtype.js';
import type { RecordedRoles } from '../checkpoint/names.js';
import type { SafetensorsFile } from '../checkpoint/reader.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { isCount, isObject } from '../lib/guards.js';
import { checkJson, mapOf, objectOf, parseJsonText } from '../lib/json.js';
import { plain, quote } from '../lib/quote.js';
import { InputError } from '../../reference/lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import type { GraphNode } from './graph.js';
import type { Tolerance } from './tolerance.js';

/** The version of the golden file format. */
export const GOLDEN_FORMAT = 1;

const TOKENS = 'must be the list of token ids that were run';
const SHA256 = 'must be a SHA-256 of 64 hexadecimal digits';

/** The formats in which activations may have been computed. */
export const PRECISIONS = ['float64', 'float32', 'bfloat16', 'float16'] as const;

/** The header of a golden file: JSON under the key `emergent` of the file's metadata. */
export interface GoldenHeader {
  format: number;
  /** The program that computed the activations, such as `PyTorch 2.13.0`. */
  producer: string;
  precision: (typeof PRECISIONS)[number];
  tokens: number[];
  /** The hash of the weights file, if known. */
  weights_sha256?: string | undefined;
  /** For sampled tensors: the whole shape, the step between stored elements, and the Euclidean norm of the whole. */
  sampled?: Record<string, { shape: number[]; step: number; norm: number }> | undefined;
  /** The synthetic checkpoint, if the weights are hashes. */
  synthetic?: { preset: string; seed: number } | undefined;
  /** The relative L2 distance of PyTorch float32 from this truth, by activation. */
  float32_distance?: Record<string, number> | undefined;
  /** From the parameter names of the recorded model to canonical names: two for a tied parameter. */
  roles?: Record<string, string | string[]> | undefined;
  /** The parameters stored as [in, out]. */
  transposed?: string[] | undefined;
  /** What the recorded pass shows; only the placement of the norms is read. */
  conventions?: { norm_position?: 'pre' | 'post' | undefined } | undefined;
}

const HEADER: v.GenericSchema<GoldenHeader> = objectOf(
  {
    format: v.literal(GOLDEN_FORMAT),
    producer: v.string('must be a string'),
    precision: v.picklist(PRECISIONS, 'must be float64, float32, bfloat16 or float16'),
    tokens: v.custom<number[]>((ids) => isList(ids, Number.isInteger) && ids.length > 0, TOKENS),
    weights_sha256: v.optional(v.pipe(v.string(SHA256), v.regex(/^[0-9a-f]{64}$/, SHA256))),
    sampled: v.optional(mapOf(isSample, 'must map activations to a shape, a step of at least 1 and a norm')),
    synthetic: v.optional(
      objectOf(
        { preset: v.string('must be a string'), seed: v.custom<number>(Number.isSafeInteger, 'must be an integer') },
        'must be an object with preset and seed',
      ),
    ),
    float32_distance: v.optional(mapOf(isMeasure, 'must map activations to numbers of at least 0')),
    roles: v.optional(mapOf(isRole, 'must map parameters to canonical names or lists of them')),
    transposed: v.optional(v.custom<string[]>((names) => isList(names, isString), 'must be a list of parameters')),
    conventions: v.optional(
      objectOf({ norm_position: v.optional(v.picklist(['pre', 'post'], 'must be pre or post')) }, 'must be an object'),
    ),
  },
  'must be an object',
);

type Sample = NonNullable<GoldenHeader['sampled']>[string];

function isSample(value: unknown): value is Sample {
  if (!isObject(value)) return false;
  const { shape, step, norm } = value;
  return isList(shape, isCount) && isCount(step) && step > 0 && isMeasure(norm);
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isRole(value: unknown): value is string | string[] {
  return isString(value) || isList(value, isString);
}

function isMeasure(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isList(value: unknown, isItem: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

/** The truth of one activation: all elements, or every `step`-th element and the norm of the whole. */
export interface GoldenTensor {
  data: Float64Array;
  /** The shape of the whole activation. */
  shape: readonly number[];
  step: number;
  norm: number | null;
  /** How the file stores it. */
  dtype: FloatDtype;
}

/** The true activations of one sequence. */
export interface Golden {
  name: string;
  header: GoldenHeader;
  tensors: Map<string, GoldenTensor>;
  /** Factors on the bounds by op, if they were asked for. */
  tolerance?: Tolerance | undefined;
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
    const dtype = file.tensors.get(name)!.dtype as FloatDtype; // readFloat64 refuses others
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at !== -1) {
      throw new InputError(`${path}: ${plain(name)} contains ${data[at]} at element ${at}; the truth must be finite`);
    }
    const sample = sampleOf(header, name) ?? { shape, step: 1, norm: null };
    if (data.length === 0 || data.length !== Math.ceil(sizeOf(sample.shape) / sample.step)) {
      throw new InputError(
        `${path}: ${plain(name)} has ${data.length} elements, which do not fit a sample of ${show(sample.shape)}`,
      );
    }
    tensors.set(name, { data, dtype, ...sample });
  }
  if (tensors.size === 0) throw new InputError(`${path} contains no activations to compare with`);
  return { name: path, header, tensors };
}

function sampleOf({ sampled = {} }: GoldenHeader, name: string): Sample | undefined {
  return Object.hasOwn(sampled, name) ? sampled[name] : undefined; // an activation may be called `constructor`
}

function parseHeader(text: string | undefined, path: string): GoldenHeader {
  if (text === undefined) {
    throw new InputError(
      `${path} is not a golden file: its metadata has no entry "emergent" (golden/run.sh record writes it)`,
    );
  }
  const source = { path: `${path}: the entry "emergent" of its metadata`, Fault: InputError };
  const header = parseJsonText(text, source);
  const format = isObject(header) ? header.format : undefined;
  if (format !== GOLDEN_FORMAT) {
    throw new InputError(
      `${path} has golden format ${quote(format)}, but this version reads ${GOLDEN_FORMAT}; export it again`,
    );
  }
  return checkJson(HEADER, header, { path, Fault: InputError });
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
      `${golden.name} is for another model: it contains ${plain(unknown)}, but this model has ${L} ${normPosition}-norm layers`,
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

/** The roles that a recording names, for loading the recorded checkpoint. */
export function recordedRoles({ header: { roles = {}, transposed = [] } }: Golden): RecordedRoles {
  return { roles, transposed };
}

/** @throws CheckpointError if the golden file was computed from other weights. */
export function checkWeights({ name, header }: Golden, sha256: string | null): void {
  if (header.weights_sha256 === undefined || sha256 === null || header.weights_sha256 === sha256) return;
  throw new CheckpointError(
    `${name} was made from other weights: sha256 ${header.weights_sha256.slice(0, 12)}…, the model's is ${sha256.slice(0, 12)}…` +
      ' (--any-weights compares anyway)',
  );
}
