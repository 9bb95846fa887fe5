import type { Draft, Proposal } from './draft.js';

/** Lengths of the beginnings that are looked for, in this order. */
const LENGTHS = [4, 3, 2];

/**
 * Drafts what followed the last tokens where they last occurred in the text. It costs nothing, and its memory grows by a few
 * numbers a token.
 */
export class LookupDraft implements Draft {
  readonly costs = { token: 0.25, round: 0.9, missed: 0 };
  readonly expected = 0.8;
  /** For each length: hashes of n-grams, and where the token after the last one of that hash is. */
  readonly #ends = LENGTHS.map(() => new Map<number, number>());
  /** All n-grams that end before this position are known. */
  #known = 0;

  propose(ids: readonly number[], count: number): Proposal {
    for (; this.#known < ids.length; this.#known++) {
      for (const [i, n] of LENGTHS.entries()) {
        if (this.#known >= n) this.#ends[i].set(hash(ids, this.#known, n), this.#known);
      }
    }
    for (const [i, n] of LENGTHS.entries()) {
      if (ids.length <= n) continue;
      const start = this.#ends[i].get(hash(ids, ids.length, n));
      if (start === undefined || !isSame(ids, start, ids.length, n)) continue;
      const all = [...ids.slice(start)];
      while (all.length < ids.length - start + count) all.push(all[all.length - (ids.length - start)]);
      return { ids: all.slice(0, count) };
    }
    return { ids: [] };
  }
}

/** A hash of the n tokens before a position. */
function hash(ids: readonly number[], end: number, n: number): number {
  let h = 0;
  for (let i = end - n; i < end; i++) h = Math.imul(h ^ ids[i], 0x9e3779b1) ^ (h >>> 15);
  return h;
}

/** Whether the n tokens before two positions are the same: two n-grams can share a hash. */
function isSame(ids: readonly number[], a: number, b: number, n: number): boolean {
  for (let i = 1; i <= n; i++) if (ids[a - i] !== ids[b - i]) return false;
  return true;
}
