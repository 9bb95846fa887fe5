/** The two directions in which vectors vary most, and where each vector lies along them. */
export interface Plane {
  /** x and y of each vector. */
  points: Float64Array;
  /** The share of the variance that the plane shows. */
  explained: number;
}

const MAX_ROUNDS = 2000;
/** Stop when a round changes the directions by less. */
const ENOUGH = 1e-15;

/**
 * Principal component analysis to two dimensions by subspace iteration on the covariance matrix.
 *
 * @param vectors with mean 0
 */
export function principalPlane(vectors: readonly Float64Array[]): Plane {
  const size = vectors[0].length;
  const covariance = covarianceOf(vectors, size);
  // a start that no data is at a right angle to, and the same every time
  let basis = orthonormal([0, 1].map((k) => Float64Array.from({ length: size }, (_, i) => Math.cos((k + 1) * i + k))));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = orthonormal(basis.map((direction) => times(covariance, direction)));
    const change = basis.reduce((sum, direction, k) => sum + 1 - Math.abs(dot(direction, next[k])), 0);
    basis = next;
    if (change < ENOUGH) break;
  }
  const points = new Float64Array(2 * vectors.length);
  vectors.forEach((vector, n) => {
    points[2 * n] = dot(vector, basis[0]);
    points[2 * n + 1] = dot(vector, basis[1]);
  });
  const total = vectors.reduce((sum, vector) => sum + dot(vector, vector), 0);
  return { points, explained: total === 0 ? 0 : dot(points, points) / total };
}

/**
 * Rotates or mirrors points so that they lie as near as possible to others (Procrustes), and scales them to a mean square
 * distance of 1 from the center.
 */
export function alignTo(points: Float64Array, target: Float64Array | null): Float64Array {
  const scale = Math.sqrt(points.length / 2 / (dot(points, points) || 1));
  const mirrored = points.map((value, i) => (i % 2 === 1 ? -value : value));
  const candidates = target === null ? [points] : [turned(points, target), turned(mirrored, target)];
  const [best, other] = candidates.map((candidate) => candidate.map((value) => value * scale)) as [
    Float64Array,
    Float64Array?,
  ];
  if (target === null || other === undefined) return best;
  return dot(other, target) > dot(best, target) ? other : best;
}

/** Points rotated by the angle that brings them nearest to others. */
function turned(points: Float64Array, target: Float64Array): Float64Array {
  let [along, across] = [0, 0];
  for (let i = 0; i < points.length; i += 2) {
    along += points[i] * target[i] + points[i + 1] * target[i + 1];
    across += points[i] * target[i + 1] - points[i + 1] * target[i];
  }
  const angle = Math.atan2(across, along);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return points.map((_, i) =>
    i % 2 === 0 ? cos * points[i] - sin * points[i + 1] : sin * points[i - 1] + cos * points[i],
  );
}

/** Σ v vᵀ, row by row. */
function covarianceOf(vectors: readonly Float64Array[], size: number): Float64Array[] {
  const rows = Array.from({ length: size }, () => new Float64Array(size));
  for (const vector of vectors) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) rows[i][j] += vector[i] * vector[j];
    }
  }
  return rows;
}

function times(rows: readonly Float64Array[], vector: Float64Array): Float64Array {
  return Float64Array.from(rows, (row) => dot(row, vector));
}

/** Gram-Schmidt for two vectors. */
function orthonormal([a, b]: readonly Float64Array[]): Float64Array[] {
  const first = unit(a);
  const overlap = dot(b, first);
  return [first, unit(b.map((value, i) => value - overlap * first[i]))];
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return length === 0 ? vector : vector.map((value) => value / length);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
