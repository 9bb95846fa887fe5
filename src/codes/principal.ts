import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { InputError } from '../../reference/lib/errors.js';
import type { Bits } from './bits.js';

/** Reports how much of the work is done, from 0 to 1. */
export type OnProgress = (share: number) => void;

/** Below this share of the largest variance, a component holds rounding errors only. */
const NO_VARIANCE = 1e-10;

/** The shares of the work that are done after these stages, as measured at 65,536 x 1024. */
const STAGES = { covariance: 0.15, eigenvectors: 0.5 };

/**
 * The first E principal components of V rows of bits, each row scaled to length 1. [V, E]
 *
 *     y = (x − mean) · W,  W the unit eigenvectors of the covariance with the E largest eigenvalues,  code = y / ‖y‖
 *
 * The sums behind the covariance are integers, so it has no rounding that depends on an order. All other arithmetic is +,
 * −, ·, / and √ in float64 in a fixed order, which IEEE 754 defines to the bit. An eigenvector's sign is open: its
 * largest component is made positive. Where variances are equal, any rotation of their components is as good, and another
 * program may find another.
 *
 * @param bits [V, B]
 * @throws InputError if the rows have fewer than E components, or if a row is the mean and has no direction.
 */
export function principalCodes(
  bits: Bits,
  V: number,
  E: number,
  onProgress: OnProgress = () => undefined,
): Float32Array {
  const B = bits.length / V;
  const counts = countPairs(bits, V, B, (share) => {
    onProgress(share * STAGES.covariance);
  });
  const axes = largestAxes(covariance(counts, V, B), B, E);
  onProgress(STAGES.eigenvectors);
  const mean = Float64Array.from({ length: B }, (_, i) => counts[i * B + i] / V);
  const components = project(bits, V, axes, mean, (share) => {
    onProgress(STAGES.eigenvectors + share * (1 - STAGES.eigenvectors));
  });
  return unitRows(components, V, E);
}

/** In how many rows bits i and j are both 1. [B, B]: integers */
function countPairs(bits: Bits, V: number, B: number, onProgress: OnProgress): Float64Array {
  const W = Math.ceil(V / 32);
  const columns = new Int32Array(B * W);
  for (let v = 0; v < V; v++) for (let i = 0; i < B; i++) columns[i * W + (v >>> 5)] |= bits[v * B + i] << (v & 31);
  const counts = new Float64Array(B * B);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j <= i; j++) {
      let count = 0;
      for (let w = 0; w < W; w++) count += countOnes(columns[i * W + w] & columns[j * W + w]);
      counts[i * B + j] = counts[j * B + i] = count;
    }
    onProgress(((i + 1) / B) ** 2);
  }
  return counts;
}

/** The number of ones among 32 bits: sums of pairs, of fours, of bytes, then of all. */
function countOnes(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  x = (x + (x >>> 4)) & 0x0f0f0f0f;
  return Math.imul(x, 0x01010101) >>> 24;
}

/** cov[i, j] = (V · n_ij − n_i · n_j) / V² */
function covariance(counts: Float64Array, V: number, B: number): Matrix {
  const result = new Matrix(B, B);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < B; j++) {
      result.set(i, j, (V * counts[i * B + j] - counts[i * B + i] * counts[j * B + j]) / V ** 2);
    }
  }
  return result;
}

/** The eigenvectors of the E largest eigenvalues as rows, [E, B], with their signs fixed. */
function largestAxes(symmetric: Matrix, B: number, E: number): Float64Array {
  const { realEigenvalues: values, eigenvectorMatrix: vectors } = new EigenvalueDecomposition(symmetric, {
    assumeSymmetric: true,
  });
  const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
  const found = order.filter((i) => values[i] > NO_VARIANCE * values[order[0]]).length;
  if (found < E) {
    throw new InputError(
      `these codes have only ${found} principal components, fewer than the ${E} that n_embed asks for`,
    );
  }
  const axes = new Float64Array(E * B);
  for (let e = 0; e < E; e++) {
    const axis = axes.subarray(e * B, (e + 1) * B);
    axis.set(vectors.getColumn(order[e]));
    const largest = axis.reduce((best, x, i) => (Math.abs(x) > Math.abs(axis[best]) ? i : best), 0);
    if (axis[largest] < 0) for (let i = 0; i < B; i++) axis[i] = -axis[i];
  }
  return axes;
}

/** Components computed together, so that the sums of all bytes for them fit in a cache. */
const STRIPE = 4;

/**
 * (x − mean) · axesᵀ for rows x of bits. [V, E] The sum over the ones of a row is taken byte by byte from a table with the
 * sums of all 256 bytes (the method of the four Russians): an eighth of the additions.
 */
function project(bits: Bits, V: number, axes: Float64Array, mean: Float64Array, onProgress: OnProgress): Float64Array {
  const B = mean.length;
  const E = axes.length / B;
  const N = Math.ceil(B / 8);
  const bytes = packBytes(bits, V, B, N);
  const result = new Float64Array(V * E);
  const sums = new Float64Array(N * 256 * STRIPE);
  for (let first = 0; first < E; first += STRIPE) {
    const width = Math.min(STRIPE, E - first);
    const center = new Float64Array(STRIPE);
    for (let e = 0; e < width; e++) {
      for (let i = 0; i < B; i++) center[e] += mean[i] * axes[(first + e) * B + i];
      for (let n = 0; n < N; n++) {
        for (let byte = 1; byte < 256; byte++) {
          const highest = 31 - Math.clz32(byte);
          const i = n * 8 + highest;
          const term = i < B ? axes[(first + e) * B + i] : 0;
          sums[(n * 256 + byte) * STRIPE + e] = sums[(n * 256 + byte - (1 << highest)) * STRIPE + e] + term;
        }
      }
    }
    const total = new Float64Array(STRIPE);
    for (let v = 0; v < V; v++) {
      addSums(sums, bytes, v * N, N, total);
      for (let e = 0; e < width; e++) result[v * E + first + e] = total[e] - center[e];
    }
    onProgress((first + width) / E);
  }
  return result;
}

/** Adds up the sums of the N bytes from `start`. Four running sums in registers: none waits for another. */
function addSums(sums: Float64Array, bytes: Uint8Array, start: number, N: number, total: Float64Array): void {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let n = 0; n < N; n++) {
    const at = (n * 256 + bytes[start + n]) * STRIPE;
    a += sums[at];
    b += sums[at + 1];
    c += sums[at + 2];
    d += sums[at + 3];
  }
  total[0] = a;
  total[1] = b;
  total[2] = c;
  total[3] = d;
}

/** Eight bits a byte, lowest first. [V, N] */
function packBytes(bits: Bits, V: number, B: number, N: number): Uint8Array {
  const bytes = new Uint8Array(V * N);
  for (let v = 0; v < V; v++) for (let i = 0; i < B; i++) bytes[v * N + (i >>> 3)] |= bits[v * B + i] << (i & 7);
  return bytes;
}

function unitRows(x: Float64Array, V: number, E: number): Float32Array {
  const unit = new Float32Array(V * E);
  for (let v = 0; v < V; v++) {
    let square = 0;
    for (let e = 0; e < E; e++) square += x[v * E + e] ** 2;
    if (square < 1e-20) throw new InputError(`token ${v} has the mean of all codes, which has no direction`);
    const norm = Math.sqrt(square);
    for (let e = 0; e < E; e++) unit[v * E + e] = x[v * E + e] / norm;
  }
  return unit;
}
