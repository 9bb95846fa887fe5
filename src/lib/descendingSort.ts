/**
 * Sorts ids by falling value. A radix sort needs no callback and takes the same time for every order of the values, so
 * that 65,536 of them take about a millisecond.
 */
export class DescendingSort {
  readonly #values: Float64Array;
  /** The values as pairs of integers. */
  readonly #words: Int32Array;
  readonly #spare: Uint32Array;
  /** The values' bits in two halves, changed so that the smallest unsigned number is the largest value. */
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #counts = Array.from({ length: 6 }, () => new Uint32Array(DIGITS));

  /** @param values without NaN; they may change between sorts */
  constructor(values: Float64Array) {
    this.#values = values;
    this.#words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
    this.#spare = new Uint32Array(values.length);
    this.#low = new Uint32Array(values.length);
    this.#high = new Uint32Array(values.length);
  }

  /** Sorts the first `count` ids in place; ids of equal values keep their order. */
  sort(ids: Uint32Array, count: number): void {
    if (count <= MAX_INSERTION) insertionSort(this.#values, ids, count);
    else this.#radixSort(ids, count);
  }

  #radixSort(ids: Uint32Array, count: number): void {
    this.#makeKeys(ids, count);
    let from = ids;
    let to = this.#spare;
    // from the lowest digit to the highest; each pass is stable
    for (let pass = 0; pass < 6; pass++) {
      const keys = pass < 3 ? this.#low : this.#high;
      const shift = 11 * (pass % 3);
      const counts = this.#counts[pass];
      if (counts[digitOf(keys[from[0]], shift)] === count) continue; // all ids have the same digit
      toOffsets(counts);
      for (let i = 0; i < count; i++) {
        const id = from[i];
        to[counts[digitOf(keys[id], shift)]++] = id;
      }
      [from, to] = [to, from];
    }
    if (from !== ids) ids.set(from.subarray(0, count));
  }

  /** Makes the keys of the ids and counts their digits. */
  #makeKeys(ids: Uint32Array, count: number): void {
    const words = this.#words;
    const lows = this.#low;
    const highs = this.#high;
    const [count0, count1, count2, count3, count4, count5] = this.#counts;
    for (const counts of this.#counts) counts.fill(0);
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      let low = words[2 * id + 1 - HIGH_WORD];
      let high = words[2 * id + HIGH_WORD];
      if (low === 0 && high === -0x80000000) high = 0; // -0 is equal to 0
      const flip = ~(high >> 31); // all bits of a positive number: the larger it is, the smaller its key
      low ^= flip;
      high ^= flip & 0x7fffffff;
      lows[id] = low;
      highs[id] = high;
      count0[digitOf(low, 0)]++;
      count1[digitOf(low, 11)]++;
      count2[digitOf(low, 22)]++;
      count3[digitOf(high, 0)]++;
      count4[digitOf(high, 11)]++;
      count5[digitOf(high, 22)]++;
    }
  }
}

/** Digits of 11 bits: three to a half of a float64. */
const DIGITS = 2048;
/** A radix sort of fewer ids would spend its time on the counts. */
const MAX_INSERTION = 64;

/** Which half of a float64 has the sign: the second one where numbers are little-endian. */
const HIGH_WORD = new Uint32Array(Float64Array.of(1).buffer)[1] === 0 ? 0 : 1;

function digitOf(key: number, shift: number): number {
  return (key >>> shift) & (DIGITS - 1);
}

/** Replaces the count of each digit by the number of ids with smaller digits. */
function toOffsets(counts: Uint32Array): void {
  let sum = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = counts[digit];
    counts[digit] = sum;
    sum += count;
  }
}

function insertionSort(values: Float64Array, ids: Uint32Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const id = ids[i];
    let place = i;
    for (; place > 0 && values[ids[place - 1]] < values[id]; place--) ids[place] = ids[place - 1];
    ids[place] = id;
  }
}
