/** The difference between two tensors of the same shape. Indices are flat. */
export interface Difference {
  /** max |a − b|; infinite if only one of a and b is finite. */
  max: number;
  /** √(Σ (a − b)² / n) */
  rms: number;
  /** ‖a − b‖ / ‖b‖, Euclidean norms */
  relativeL2: number;
  /** max |a − b| / rms(b); the bounds apply to this */
  relativeMax: number;
  /** The largest distance in float32 numbers between a and b rounded to float32. */
  ulp: number;
  /** The index of max. */
  worst: number;
  /** The number of elements that are NaN in a but not in b. */
  nan: number;
}

/**
 * Compares numbers with the truth, element by element. NaN equals only NaN, an infinity equals only the same infinity, and
 * +0 equals −0.
 */
export function compare(a: ArrayLike<number>, truth: ArrayLike<number>): Difference {
  const n = truth.length;
  let max = -1;
  let worst = 0;
  let ulp = 0;
  let nan = 0;
  let squares = 0;
  let norm = 0;
  for (let i = 0; i < n; i++) {
    const same = a[i] === truth[i] || (Number.isNaN(a[i]) && Number.isNaN(truth[i]));
    let error = same ? 0 : Math.abs(a[i] - truth[i]);
    if (Number.isNaN(error)) error = Infinity;
    if (Number.isNaN(a[i]) && !same) nan++;
    if (error > max) {
      max = error;
      worst = i;
    }
    squares += error * error;
    norm += truth[i] * truth[i];
    if (!same) ulp = Math.max(ulp, ulpDistance(a[i], truth[i]));
  }
  const scale = Math.sqrt(norm / n);
  return {
    max: Math.max(max, 0),
    rms: Math.sqrt(squares / n),
    relativeL2: ratio(Math.sqrt(squares), Math.sqrt(norm)),
    relativeMax: ratio(Math.max(max, 0), scale),
    ulp,
    worst,
    nan,
  };
}

/** error / scale, and 0 for 0 / 0. */
function ratio(error: number, scale: number): number {
  return error === 0 ? 0 : error / scale;
}

const floats = new Float32Array(2);
const words = new Int32Array(floats.buffer);

/** The distance between two numbers in steps of float32, across zero as well. +0 and −0 count as one number. */
export function ulpDistance(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : Infinity;
  floats[0] = a;
  floats[1] = b;
  const [x, y] = [0, 1].map((i) => (words[i] < 0 ? -(words[i] & 0x7fffffff) : words[i]));
  return Math.abs(x - y);
}

/** Converts a flat index to one index per dimension. */
export function unravel(index: number, shape: readonly number[]): number[] {
  return shape.map((size, d) => Math.floor(index / shape.slice(d + 1).reduce((a, b) => a * b, 1)) % size);
}
