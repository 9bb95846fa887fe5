import { DescendingSort } from './lib/descendingSort.js';
import { expMinus } from './lib/expApprox.js';

/**
 * The tokens to choose among, with their weights. One object serves all tokens of a text, so that nothing is allocated
 * per token.
 *
 * Rounding makes a sum depend on the order of its terms, and the sums decide which tokens top-p keeps. The order is by
 * falling score, equal scores by rising id. Without top-k and top-p it is by rising id.
 */
export class Candidates {
  /** [V], for the caller to fill; no NaN. */
  readonly scores: Float64Array;
  /** [V], exp((score - highest) / temperature) of the candidates. */
  readonly #weights: Float64Array;
  /** The candidates are the first `#count` of these. */
  readonly #ids: Uint32Array;
  #count = 0;
  /** The sum of the candidates' weights. */
  #total = 0;
  /** [V], how far each score is below the highest; and the bits of that. */
  readonly #gaps: Float32Array;
  readonly #gapBits: Uint32Array;
  /** The number of tokens in each bucket, or the sum of their weights. */
  readonly #buckets = new Float64Array(BUCKETS);
  readonly #sorter: DescendingSort;

  constructor(size: number) {
    this.scores = new Float64Array(size);
    this.#weights = new Float64Array(size);
    this.#ids = new Uint32Array(size);
    this.#gaps = new Float32Array(size);
    this.#gapBits = new Uint32Array(this.#gaps.buffer);
    this.#sorter = new DescendingSort(this.scores);
  }

  /**
   * Selects what top-k and then top-p keep, at least one token.
   *
   * @param highest the highest score, above -Infinity. If it is Infinity, only the tokens that have it get weight, each
   *   the same: the limit of the softmax.
   * @param topK 0 for all
   * @param topP 1 for all
   */
  select(highest: number, temperature: number, topK: number, topP: number): void {
    if (topK > 0 && topK < this.scores.length) {
      this.#selectLikeliest(highest, topK);
      this.#weigh(highest, temperature);
      this.#cut(topP * this.#total);
    } else if (topP < 1) {
      this.#selectNucleus(highest, temperature, topP);
    } else {
      this.#gatherAll();
      this.#weigh(highest, temperature);
    }
  }

  /** The candidate at the share `u` of the total weight, 0 ≤ u < 1. Never one without weight. */
  pick(u: number): number {
    const ids = this.#ids;
    const weights = this.#weights;
    let left = u * this.#total;
    let chosen = ids[0];
    for (let i = 0; i < this.#count; i++) {
      const weight = weights[ids[i]];
      if (weight === 0) continue;
      chosen = ids[i];
      left -= weight;
      if (left < 0) break; // rounding can leave 0 or more after the last one, which is chosen then
    }
    return chosen;
  }

  /** The probability of every token, [V]: 0 for those that are no candidates. */
  probabilities(): Float64Array {
    const shares = new Float64Array(this.scores.length);
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      shares[id] = this.#weights[id] / this.#total;
    }
    return shares;
  }

  /** Makes the `k` likeliest tokens the candidates. */
  #selectLikeliest(highest: number, k: number): void {
    const gapBits = this.#gapBits;
    const buckets = this.#buckets.fill(0);
    this.#measureGaps(highest);
    for (const bits of gapBits) buckets[bucketOf(bits)]++;
    this.#gather(this.#bucketReaching(k));
    this.#sorter.sort(this.#ids, this.#count);
    this.#count = k;
  }

  /**
   * Makes the fewest tokens whose weights reach the share `p` of all the candidates.
   *
   * The total of all weights is estimated first, and only the likeliest tokens are sorted and weighed. If the number of
   * candidates depends on the error of the estimate, everything is sorted and weighed.
   */
  #selectNucleus(highest: number, temperature: number, p: number): void {
    const total = this.#estimateTotal(highest, temperature);
    // the errors of expMinus and of two sums in different orders, both taken generously
    const slack = (1e-10 + 4 * this.scores.length * 2 ** -53) * total;
    this.#gather(this.#bucketReaching(p * total + 2 * slack));
    this.#sorter.sort(this.#ids, this.#count);
    this.#weigh(highest, temperature);
    if (this.#count < this.scores.length) {
      if (this.#cut(p * total, slack)) return;
      this.#gatherAll();
      this.#sorter.sort(this.#ids, this.#count);
      this.#weigh(highest, temperature);
    }
    this.#cut(p * this.#total);
  }

  /** Adds up estimates of all weights, in each bucket and in total. */
  #estimateTotal(highest: number, temperature: number): number {
    const { scores } = this;
    const gapBits = this.#gapBits;
    const buckets = this.#buckets.fill(0);
    this.#measureGaps(highest);
    let total = 0;
    for (let id = 0; id < scores.length; id++) {
      const score = scores[id];
      const weight = score === highest ? 1 : expMinus((highest - score) / temperature);
      buckets[bucketOf(gapBits[id])] += weight;
      total += weight;
    }
    return total;
  }

  /** Computes the candidates' weights and adds them up in their order. */
  #weigh(highest: number, temperature: number): void {
    const { scores } = this;
    const ids = this.#ids;
    const weights = this.#weights;
    const count = this.#count;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      const score = scores[id];
      // the highest is compared because Infinity - Infinity is NaN
      const weight = score === highest ? 1 : Math.exp((score - highest) / temperature);
      weights[id] = weight;
      total += weight;
    }
    this.#total = total;
  }

  /**
   * Keeps the first candidates, as many as it takes to reach `limit`.
   *
   * @returns false, and keeps all, if a limit that is off by up to `slack` could keep another number of them
   */
  #cut(limit: number, slack = 0): boolean {
    const ids = this.#ids;
    const weights = this.#weights;
    const given = this.#count;
    let before = 0;
    let covered = 0;
    let count = 0;
    while (count < given && covered < limit) {
      before = covered;
      covered += weights[ids[count]];
      count++;
    }
    if (slack > 0 && (before >= limit - slack || covered < limit + slack)) return false;
    this.#count = count;
    this.#total = covered;
    return true;
  }

  #measureGaps(highest: number): void {
    const { scores } = this;
    const gaps = this.#gaps;
    for (let id = 0; id < scores.length; id++) {
      const score = scores[id];
      gaps[id] = score === highest ? 0 : highest - score;
    }
  }

  /** The first bucket with which the buckets add up to `limit`; the last one if they never do. */
  #bucketReaching(limit: number): number {
    let covered = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      covered += this.#buckets[bucket];
      if (covered >= limit) return bucket;
    }
    return BUCKETS - 1;
  }

  /** Makes the tokens up to a bucket the candidates, by rising id. */
  #gather(last: number): void {
    const gapBits = this.#gapBits;
    const ids = this.#ids;
    let count = 0;
    for (let id = 0; id < ids.length; id++) {
      if (bucketOf(gapBits[id]) <= last) ids[count++] = id;
    }
    this.#count = count;
  }

  #gatherAll(): void {
    const ids = this.#ids;
    for (let id = 0; id < ids.length; id++) ids[id] = id;
    this.#count = ids.length;
  }
}

/** Enough for gaps from 2^-10 to 2^22, 64 to a power of two; smaller and larger ones share the first and the last bucket. */
const BUCKETS = 2048;
/** Leaves the exponent of a float32 and 6 bits of its fraction. */
const SHIFT = 17;
const FIRST = (127 - 10) * 64;

/** The larger a gap, the higher its bucket: bits of positive floats are ordered as the floats are. */
function bucketOf(gapBits: number): number {
  return Math.min(Math.max((gapBits >>> SHIFT) - FIRST, 0), BUCKETS - 1);
}
