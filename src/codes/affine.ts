import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { fillRandom, indexBits, requireEnoughBits, type Bits } from './bits.js';

/**
 * An affine map over GF(2), the field of the two bits: code(t) = A · bin(t) ⊕ b (arXiv 2605.09751). Codes differ because
 * the columns of A are linearly independent, which for a square A means that it is invertible.
 */
export interface AffineMap {
  /** A [E, M], row by row. Its column k multiplies bit k of the token's index, lowest bit first. */
  readonly matrix: Bits;
  /** b [E]. */
  readonly offset: Bits;
  /** The width of a code. */
  readonly E: number;
  /** The bits of an index. */
  readonly M: number;
}

/**
 * A random affine map for V tokens and codes of E bits. A has ⌈log₂ V⌉ columns.
 *
 * @throws InputError if E bits cannot tell V tokens apart.
 */
export function randomAffineMap(V: number, E: number, random: RandomGenerator): AffineMap {
  requireEnoughBits(V, E);
  const M = indexBits(V);
  const matrix = new Uint8Array(E * M);
  do {
    // About 29 % of square matrices are invertible, so a few draws suffice.
    for (let e = 0; e < E; e++) fillRandom(matrix.subarray(e * M, (e + 1) * M), random);
  } while (rankOverGf2(matrix, E, M) < M);
  const offset = new Uint8Array(E);
  fillRandom(offset, random);
  return { matrix, offset, E, M };
}

/** code(t) = A · bin(t) ⊕ b for each token t. [V, E] */
export function affineCodes({ matrix, offset, E, M }: AffineMap, V: number): Bits {
  const bits = new Uint8Array(V * E);
  for (let t = 0; t < V; t++) {
    for (let e = 0; e < E; e++) {
      let bit = offset[e];
      for (let k = 0; k < M && k < 32; k++) bit ^= matrix[e * M + k] & (t >>> k);
      bits[t * E + e] = bit & 1;
    }
  }
  return bits;
}

/** The rank of a matrix of bits over GF(2), by elimination. */
export function rankOverGf2(matrix: Bits, N: number, M: number): number {
  const rows = Array.from({ length: N }, (_, n) => matrix.slice(n * M, (n + 1) * M));
  let rank = 0;
  for (let column = 0; column < M; column++) {
    const pivot = rows.findIndex((row, n) => n >= rank && row[column] === 1);
    if (pivot === -1) continue;
    [rows[rank], rows[pivot]] = [rows[pivot], rows[rank]];
    for (let n = rank + 1; n < N; n++) {
      if (rows[n][column] === 1) rows[n].forEach((bit, k) => (rows[n][k] = bit ^ rows[rank][k]));
    }
    rank++;
  }
  return rank;
}
