import { findDuplicates } from './duplicates.js';

/** What the rows of an embedding table look like. */
export interface TableReport {
  /** The size of the table: V tokens, codes of E numbers. */
  shape: readonly [number, number];
  /** How many rows were looked at; fewer than V if the table is large. */
  rows: number;
  /** What the numbers are. `index` is the token's index in binary, `affine` an affine map of it over GF(2). */
  kind: 'index' | 'affine' | 'bits' | 'floats' | 'not finite';
  /** The smallest and the largest Euclidean length of a row. */
  norms: readonly [number, number];
  /** Whether every row has length 1, within the precision of the file. */
  unitNorm: boolean;
  /** The rank of the rows; a lower bound if `rankIsBound`. */
  rank: number;
  rankIsBound: boolean;
  /** How many of these rows equal an earlier one. */
  duplicates: number;
  /** Whether the table looks as if it was never trained: training would leave neither bits nor unit lengths. */
  looksFrozen: boolean;
}

/** Bounds the orthogonal basis behind the rank: numbers in it. */
const MAX_BASIS = 2 ** 21;

/** Beyond the width, this many rows more may prove to be dependent before the search for the rank ends. */
const SPARE_ROWS = 1024;

/**
 * Describes an embedding table from some of its rows.
 *
 * @param x [N, E], the rows of the tokens `ids`, which ascend
 * @param V the number of tokens in the whole table
 * @param precision the relative rounding error of a stored number
 */
export function describeTable(x: Float32Array, ids: readonly number[], V: number, precision: number): TableReport {
  const N = ids.length;
  const E = x.length / N;
  const report = { shape: [V, E], rows: N } as const;
  if (!x.every(Number.isFinite)) {
    const nothing = { norms: [NaN, NaN], unitNorm: false, rank: 0, rankIsBound: true, duplicates: 0 } as const;
    return { ...report, kind: 'not finite', ...nothing, looksFrozen: false };
  }
  const kind = kindOf(x, ids, E);
  const norms = normsOf(x, N, E);
  const unitNorm = norms.every((norm) => Math.abs(norm - 1) <= 2 * precision);
  const duplicates = findDuplicates(x, N, E).count;
  return {
    ...report,
    kind,
    norms,
    unitNorm,
    ...rankOf(x, N, E, precision),
    duplicates,
    looksFrozen: kind !== 'floats' || unitNorm,
  };
}

function kindOf(x: Float32Array, ids: readonly number[], E: number): TableReport['kind'] {
  if (!x.every((value) => value === 0 || value === 1)) return 'floats';
  if (ids.every((id, n) => isIndex(x.subarray(n * E, (n + 1) * E), id))) return 'index';
  return isAffine(x, ids, E) ? 'affine' : 'bits';
}

/** Whether a row is a number in binary, lowest bit first or last. */
function isIndex(row: Float32Array, id: number): boolean {
  const E = row.length;
  const isLowestFirst = row.every((bit, k) => bit === bitOf(id, k));
  return isLowestFirst || row.every((bit, k) => bit === bitOf(id, E - 1 - k));
}

function bitOf(id: number, k: number): number {
  return k < 32 ? (id >>> k) & 1 : 0;
}

/** Whether code(t) ⊕ code(0) is the sum of code(2ᵏ) ⊕ code(0) over the bits k of t. Needs the rows 0, 1, 2, 4, 8, … */
function isAffine(x: Float32Array, ids: readonly number[], E: number): boolean {
  const rowOf = new Map(ids.map((id, n) => [id, n]));
  const zero = rowOf.get(0);
  if (zero === undefined || ids.length < 5) return false; // any four codes are an affine map
  return ids.every((id, n) => {
    for (let e = 0; e < E; e++) {
      let bit = x[zero * E + e];
      for (let k = 0; k < 32; k++) {
        if (((id >>> k) & 1) === 0) continue;
        const power = rowOf.get(2 ** k);
        if (power === undefined) return false;
        bit ^= x[power * E + e] ^ x[zero * E + e];
      }
      if (bit !== x[n * E + e]) return false;
    }
    return true;
  });
}

function normsOf(x: Float32Array, N: number, E: number): [number, number] {
  let [least, most] = [Infinity, 0];
  for (let n = 0; n < N; n++) {
    let square = 0;
    for (let e = n * E; e < (n + 1) * E; e++) square += x[e] ** 2;
    least = Math.min(least, Math.sqrt(square));
    most = Math.max(most, Math.sqrt(square));
  }
  return [least, most];
}

/** The rank by Gram and Schmidt's method: a row counts if more of it is left than rounding errors explain. */
function rankOf(x: Float32Array, N: number, E: number, precision: number): { rank: number; rankIsBound: boolean } {
  const limit = Math.min(E, N, Math.max(1, Math.floor(MAX_BASIS / E)));
  const basis = new Float64Array(limit * E);
  const tries = Math.min(N, limit + SPARE_ROWS);
  let rank = 0;
  for (let i = 0; i < tries && rank < limit; i++) {
    const n = Math.floor((i * N) / tries);
    const row = Float64Array.from(x.subarray(n * E, (n + 1) * E));
    const before = Math.sqrt(dot(row, row));
    for (let b = 0; b < rank; b++) {
      const axis = basis.subarray(b * E, (b + 1) * E);
      const share = dot(row, axis);
      for (let e = 0; e < E; e++) row[e] -= share * axis[e];
    }
    const after = Math.sqrt(dot(row, row));
    if (after <= 16 * precision * before) continue;
    for (let e = 0; e < E; e++) basis[rank * E + e] = row[e] / after;
    rank++;
  }
  return { rank, rankIsBound: rank < E && (rank === limit || tries < N) };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
