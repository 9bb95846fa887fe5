import type { GraphNode } from './graph.js';

/**
 * How far an activation may be from the truth: max |a − truth| / rms(truth). Errors add up from layer to layer, so bounds
 * grow linearly: `bound · (1 + layer)`.
 *
 * `reference` is for backends that accumulate in float64, compared with float64 truth. `float32` is for backends that
 * accumulate in float32, and for float32 truth. `seen` is the largest error over all golden files, also divided by
 * (1 + layer); for float32 it is the error of PyTorch float32.
 */
export interface Bound {
  reference: number;
  float32: number;
  seen: { reference: number; float32: number };
  why: string;
}

/** Bounds by op, about four times the largest error seen. */
export const BOUNDS: Readonly<Record<string, Bound>> = {
  embedding: { reference: 0, float32: 0, seen: { reference: 0, float32: 0 }, why: 'copies bits' },
  repeatInterleave: { reference: 0, float32: 0, seen: { reference: 0, float32: 0 }, why: 'copies bits' },
  layerNorm: {
    reference: 2e-6,
    float32: 6e-6,
    seen: { reference: 5e-7, float32: 1.5e-6 },
    why: 'divides by the deviation of its input, which scales the error of the input as well',
  },
  linear: {
    reference: 2.5e-6,
    float32: 8e-6,
    seen: { reference: 6e-7, float32: 1.8e-6 },
    why: 'sums of up to 4C products, which may cancel; so errors are relative to the rms, not in ULP',
  },
  rope: {
    reference: 1.5e-6,
    float32: 5e-6,
    seen: { reference: 3e-7, float32: 1.1e-6 },
    why: 'two products of its input',
  },
  softmax: {
    ...{ reference: 4e-6, float32: 1.7e-5, seen: { reference: 1.04e-6, float32: 4.3e-6 } },
    why: 'turns an absolute error of a score into a relative one of a weight',
  },
  attention: {
    reference: 2e-6,
    float32: 6e-6,
    seen: { reference: 5e-7, float32: 1.4e-6 },
    why: 'averages values; softmax turns an absolute error of a score into a relative error of a weight',
  },
  add: {
    reference: 2.5e-6,
    float32: 6e-6,
    seen: { reference: 6e-7, float32: 1.3e-6 },
    why: 'one rounding on top of the errors of both inputs',
  },
  gelu: {
    reference: 3e-6,
    float32: 9e-6,
    seen: { reference: 8e-7, float32: 2.2e-6 },
    why: 'smooth with a slope of at most 1.13; its rms is smaller than that of its input',
  },
  lmHead: {
    reference: 1.5e-6,
    float32: 4e-6,
    seen: { reference: 4e-7, float32: 1e-6 },
    why: 'like linear',
  },
};

/** Which column of {@link BOUNDS} applies. */
export type Precision = 'reference' | 'float32';

/** The bound of one activation, relative to the rms of its truth. */
export function boundOf({ op, layer }: GraphNode, precision: Precision): number {
  return BOUNDS[op][precision] * (1 + layer);
}

/** Factors on the bounds, by op; 1 for ops that it does not name. */
export type Tolerance = Readonly<Record<string, number>>;

/** The same factor for all ops. */
export function uniformTolerance(factor: number): Tolerance {
  return Object.fromEntries(Object.keys(BOUNDS).map((op) => [op, factor]));
}
