import type { GraphNode } from './graph.js';

/**
 * How far an activation may be from the truth: max |a − truth| over the rms of the truth. Errors are handed down from
 * layer to layer, so a bound grows in a straight line: `bound · (1 + layer)`.
 *
 * `reference` is for what accumulates in float64, against float64 truth. `float32` is for what accumulates in float32,
 * or where the truth itself was computed in float32. `seen` is the largest found over all golden files, divided by
 * (1 + layer) likewise: for float32 that of PyTorch itself.
 */
export interface Bound {
  reference: number;
  float32: number;
  seen: { reference: number; float32: number };
  why: string;
}

/** Bounds by op: about four times what was seen. */
export const BOUNDS: Readonly<Record<string, Bound>> = {
  embedding: { reference: 0, float32: 0, seen: { reference: 0, float32: 0 }, why: 'moves bits' },
  repeatInterleave: { reference: 0, float32: 0, seen: { reference: 0, float32: 0 }, why: 'moves bits' },
  layerNorm: {
    ...{ reference: 2e-6, float32: 6e-6, seen: { reference: 5e-7, float32: 1.5e-6 } },
    why: 'divides by the deviation of its input, and an error of the input with it',
  },
  linear: {
    ...{ reference: 2.5e-6, float32: 8e-6, seen: { reference: 6e-7, float32: 1.8e-6 } },
    why: 'sums of up to 4C products, which may cancel; rms and not ULP measures that',
  },
  rope: {
    ...{ reference: 1.5e-6, float32: 5e-6, seen: { reference: 3e-7, float32: 1.1e-6 } },
    why: 'two products of its input',
  },
  softmax: {
    ...{ reference: 4e-6, float32: 1.7e-5, seen: { reference: 1.04e-6, float32: 4.3e-6 } },
    why: 'turns an absolute error of a score into a relative one of a weight',
  },
  attention: {
    ...{ reference: 2e-6, float32: 6e-6, seen: { reference: 5e-7, float32: 1.4e-6 } },
    why: 'averages values; the softmax turns an absolute error of a score into a relative one of a weight',
  },
  add: {
    ...{ reference: 2.5e-6, float32: 6e-6, seen: { reference: 6e-7, float32: 1.3e-6 } },
    why: 'one rounding, and the errors of both inputs',
  },
  gelu: {
    ...{ reference: 3e-6, float32: 9e-6, seen: { reference: 8e-7, float32: 2.2e-6 } },
    why: 'smooth with a slope of at most 1.13; its rms is smaller than that of its input',
  },
  lmHead: {
    ...{ reference: 1.5e-6, float32: 4e-6, seen: { reference: 4e-7, float32: 1e-6 } },
    why: 'as linear',
  },
};

/** Which column of {@link BOUNDS} applies. */
export type Precision = 'reference' | 'float32';

/** The bound of one activation, relative to the rms of its truth. */
export function boundOf({ op, layer }: GraphNode, precision: Precision): number {
  return BOUNDS[op][precision] * (1 + layer);
}
