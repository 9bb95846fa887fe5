import { mersenne } from 'pure-rand/generator/mersenne';
import { InputError } from '../../reference/lib/errors.js';
import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import { requireKnownOptions, requireOption } from '../lib/options.js';
import { affineCodes, randomAffineMap, type AffineMap } from './affine.js';
import { binaryCodes, randomCodes } from './bits.js';
import { findDuplicates } from './duplicates.js';
import type { OnProgress } from './principal.js';

/** How the papers build a frozen table. */
export const CODE_KINDS = ['binary', 'bit', 'float', 'affine'] as const;
export type CodeKind = (typeof CODE_KINDS)[number];

/** Counted up whenever the same kind, sizes and seed begin to give other bits. */
export const CODES_VERSION = 1;

/** The size of a safetensors file that Node can still hold as one array. */
const MAX_ELEMENTS = 2 ** 30;

export interface CodesOptions {
  kind: CodeKind;
  /** V, the number of tokens. */
  vocabSize: number;
  /** E, the width of a code. */
  nEmbed: number;
  /** An integer; 1 by default. Binary codes do not depend on it. */
  seed?: number | undefined;
  /** Called with the share that is done, from 0 to 1. */
  onProgress?: OnProgress | undefined;
}

export interface Codes {
  /** [V, E] */
  table: Float32Tensor;
  /** The map behind affine codes; null for the other kinds. */
  affine: AffineMap | null;
}

/**
 * Makes a frozen embedding table [V, E], as the papers build theirs (arXiv 2507.04886 and 2605.09751):
 *
 * - `binary`: the token's index in binary, 0 and 1, lowest bit first.
 * - `bit`: random bits; a row that occurred before is drawn again.
 * - `float`: such random bits, projected on their principal components, each row scaled to length 1.
 * - `affine`: A · bin(t) ⊕ b over GF(2), with random b and random A of independent columns.
 *
 * The same options give the same bits on every machine. The random numbers are the Mersenne Twister's. The papers publish
 * no seed, so these are not their tables.
 *
 * @throws InputError for a bad option, for too few bits, and if two codes turn out equal.
 *
 * @example
 * const { table } = await makeCodes({ kind: 'binary', vocabSize: 4, nEmbed: 2 });
 * // table.data is [0, 0,  1, 0,  0, 1,  1, 1]
 */
export async function makeCodes(options: CodesOptions): Promise<Codes> {
  requireKnownOptions(options, ['kind', 'vocabSize', 'nEmbed', 'seed', 'onProgress']);
  const { kind, vocabSize: V, nEmbed: E, seed = 1, onProgress } = options;
  requireOption(CODE_KINDS.includes(kind), 'kind', `one of ${CODE_KINDS.join(', ')}`, kind);
  requireOption(Number.isSafeInteger(V) && V >= 1, 'vocab size', 'an integer of at least 1', V);
  requireOption(Number.isSafeInteger(E) && E >= 1, 'n_embed', 'an integer of at least 1', E);
  requireOption(Number.isSafeInteger(seed), 'seed', 'an integer', seed);
  if (V * E > MAX_ELEMENTS) throw new InputError(`a table of ${V} x ${E} exceeds the limit of ${MAX_ELEMENTS} numbers`);

  const { data, affine } = await build(kind, V, E, seed, onProgress);
  const { first } = findDuplicates(data, V, E);
  if (first)
    throw new InputError(`tokens ${first[0]} and ${first[1]} have the same code: choose more bits or another seed`);
  return { table: tensor([V, E], data), affine };
}

async function build(
  kind: CodeKind,
  V: number,
  E: number,
  seed: number,
  onProgress?: OnProgress,
): Promise<{ data: Float32Array; affine: AffineMap | null }> {
  const random = mersenne(seed);
  if (kind === 'binary') return { data: Float32Array.from(binaryCodes(V, E)), affine: null };
  if (kind === 'affine') {
    const affine = randomAffineMap(V, E, random);
    return { data: Float32Array.from(affineCodes(affine, V)), affine };
  }
  const bits = randomCodes(V, E, random);
  if (kind === 'bit') return { data: Float32Array.from(bits), affine: null };
  const { principalCodes } = await import('./principal.js'); // the linear algebra is loaded by those who need it
  return { data: principalCodes(bits, V, E, onProgress), affine: null };
}
