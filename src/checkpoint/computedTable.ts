import * as v from 'valibot';
import type { ModelConfig } from '../../reference/lib/config.js';
import { affineCodes, rankOverGf2, type AffineMap } from '../codes/affine.js';
import { binaryCodes, indexBits, type Bits } from '../codes/bits.js';
import { ConfigError } from '../lib/errors.js';
import { checkJson, objectOf } from '../lib/json.js';
import { quote } from '../lib/quote.js';

/** How a model without an embedding table computes its codes: the key `codes` of config.json. */
export type ComputedCodes = { readonly kind: 'binary' } | { readonly kind: 'affine'; readonly map: AffineMap };

/** The canonical name of the table. */
export const TABLE = 'token_embeddings.weight';

const CODES = objectOf(
  { kind: v.optional(v.unknown()), matrix: v.optional(v.unknown()), offset: v.optional(v.unknown()) },
  'must be an object with kind',
);
const WITH_CODES = objectOf({ codes: v.nullish(CODES) }, 'must be a JSON object');

/**
 * Parses the key `codes` of config.json; null if it is missing. It is this project's key: `{"kind": "binary"}`, or
 * `{"kind": "affine", "matrix": [...], "offset": "0110"}` with A as n_embed strings of 0 and 1, one a row, lowest bit of
 * the index first, and b as one such string.
 *
 * @throws ConfigError that names the key and the fault.
 */
export function parseComputedCodes(json: unknown, config: ModelConfig, source: string): ComputedCodes | null {
  const { codes } = checkJson(WITH_CODES, json, { path: source, Fault: ConfigError });
  if (codes == null) return null;
  const { vocabSize: V, nEmbed: E } = config;
  const M = indexBits(V);
  function fail(key: string, fault: string): never {
    throw new ConfigError(`${source}: codes.${key} ${fault}`);
  }
  const { kind, matrix, offset } = codes;
  if (kind === 'binary') {
    if (E < M) fail('kind', `is binary, but n_embed ${E} is fewer than the ${M} bits that ${V} tokens need`);
    return { kind };
  }
  if (kind !== 'affine') return fail('kind', `must be binary or affine, got ${quote(kind)}`);
  if (!Array.isArray(matrix) || matrix.length !== E) fail('matrix', `must be a list of ${E} rows (n_embed)`);
  const rows = matrix.map((row, e) => parseBits(row, M) ?? fail(`matrix[${e}]`, wanted(M, row)));
  const b = parseBits(offset, E) ?? fail('offset', wanted(E, offset));
  const map = { matrix: Uint8Array.from(rows.flatMap((row) => [...row])), offset: b, E, M };
  const rank = rankOverGf2(map.matrix, E, M);
  if (rank < M) fail('matrix', `has rank ${rank} over GF(2), not ${M}: tokens would share a code`);
  return { kind, map };
}

function wanted(count: number, got: unknown): string {
  return `must be a string of ${count} characters 0 and 1, got ${quote(got)}`;
}

function parseBits(text: unknown, count: number): Bits | null {
  if (typeof text !== 'string' || text.length !== count || !/^[01]+$/.test(text)) return null;
  return Uint8Array.from(text, Number);
}

/** Formats a map so that {@link parseComputedCodes} reads it back. */
export function formatAffineMap({ matrix, offset, E, M }: AffineMap): {
  kind: 'affine';
  matrix: string[];
  offset: string;
} {
  const rows = Array.from({ length: E }, (_, e) => matrix.subarray(e * M, (e + 1) * M).join(''));
  return { kind: 'affine', matrix: rows, offset: offset.join('') };
}

/** Computes the whole table, [V, E]. */
export function computeTable(codes: ComputedCodes, { vocabSize: V, nEmbed: E }: ModelConfig): Bits {
  return codes.kind === 'binary' ? binaryCodes(V, E) : affineCodes(codes.map, V);
}

/** What the config does not say, although the model depends on it. */
export function assumptionsOfCodes({ kind }: ComputedCodes): string[] {
  return [
    `the file has no table: ${kind} codes are computed from token ids, as numbers 0 and 1 (config.json: codes)`,
    'each number of a computed code is repeated in place to the width; the published card says only that codes are tiled',
  ];
}
