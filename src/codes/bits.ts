import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { InputError } from '../../reference/lib/errors.js';

/** Codes of bits, [V, E] row by row, one byte a bit. */
export type Bits = Uint8Array;

/** The fewest bits that number `count` things: ⌈log₂ count⌉, at least 1. */
export function indexBits(count: number): number {
  return Math.max(1, Math.ceil(Math.log2(count)));
}

/**
 * Checks that E bits can tell V tokens apart.
 *
 * @throws InputError that gives the arithmetic.
 */
export function requireEnoughBits(V: number, E: number): void {
  if (E >= indexBits(V)) return;
  throw new InputError(
    `${E} bits make 2^${E} = ${2 ** E} different codes, fewer than the ${V} tokens; at least ${indexBits(V)} bits are needed`,
  );
}

/** The index of each token in binary, lowest bit first. [V, E] */
export function binaryCodes(V: number, E: number): Bits {
  requireEnoughBits(V, E);
  const bits = new Uint8Array(V * E);
  for (let t = 0; t < V; t++) for (let k = 0; k < E && k < 32; k++) bits[t * E + k] = (t >>> k) & 1;
  return bits;
}

/**
 * Random bits, each row different from all others: a row that was drawn before is drawn again. [V, E]
 *
 * @throws InputError if E bits cannot tell V tokens apart.
 */
export function randomCodes(V: number, E: number, random: RandomGenerator): Bits {
  requireEnoughBits(V, E);
  const bits = new Uint8Array(V * E);
  const seen = new Set<string>();
  while (seen.size < V) {
    const row = bits.subarray(seen.size * E, (seen.size + 1) * E);
    fillRandom(row, random);
    seen.add(keyOf(row));
  }
  return bits;
}

/** Fills a row with random bits. Every row begins a new number of 32 bits, whose lowest bit comes first. */
export function fillRandom(row: Bits, random: RandomGenerator): void {
  for (let start = 0; start < row.length; start += 32) {
    const word = random.next();
    const end = Math.min(start + 32, row.length);
    for (let k = start; k < end; k++) row[k] = (word >>> (k - start)) & 1;
  }
}

/** A string that only equal rows share: 16 bits a character. */
function keyOf(row: Bits): string {
  let key = '';
  for (let start = 0; start < row.length; start += 16) {
    let unit = 0;
    const end = Math.min(start + 16, row.length);
    for (let k = start; k < end; k++) unit |= row[k] << (k - start);
    key += String.fromCharCode(unit);
  }
  return key;
}
