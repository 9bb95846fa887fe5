import type { Golden, GoldenTensor } from './golden.js';
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

/** A format of fewer bits than float32. */
interface LowFormat {
  name: string;
  /** The largest relative error of rounding to the format: half its epsilon. */
  unitRoundoff: number;
  /** The largest absolute error of rounding a subnormal number. */
  halfSmallest: number;
}

/** The unit roundoff of float32. */
const FLOAT32_ROUNDOFF = 2 ** -24;

const BFLOAT16: LowFormat = { name: 'bfloat16', unitRoundoff: 2 ** -8, halfSmallest: 2 ** -134 };
const FLOAT16: LowFormat = { name: 'float16', unitRoundoff: 2 ** -11, halfSmallest: 2 ** -25 };
const BY_PRECISION: Readonly<Record<string, LowFormat | undefined>> = { bfloat16: BFLOAT16, float16: FLOAT16 };
const BY_DTYPE: Readonly<Record<string, LowFormat | undefined>> = { BF16: BFLOAT16, F16: FLOAT16 };

/**
 * The bound of one activation of a golden file, relative to the rms of its truth.
 *
 * - Truth computed in bfloat16 or float16 has an error of its own. It comes from the same roundings as that of float32, each
 *   larger by the ratio of the unit roundoffs, 2¹⁶ or 2¹³. That times the largest error of PyTorch float32 is the bound. It has
 *   no factor of four: sums in these formats are accumulated in float32, and models use at most half of it.
 * - Truth stored in these formats was rounded: each element by at most its size times the unit roundoff, so that is added.
 *
 * @param computes whose errors to expect of a backend compared with float64
 */
export function boundIn(golden: Golden, node: GraphNode, truth: GoldenTensor, computes: Precision): number {
  const { precision } = golden.header;
  const computed = BY_PRECISION[precision];
  const stored = BY_DTYPE[truth.dtype] ?? computed;
  const scaled = computed
    ? (BOUNDS[node.op].seen.float32 * (1 + node.layer) * computed.unitRoundoff) / FLOAT32_ROUNDOFF
    : boundOf(node, precision === 'float64' ? computes : 'float32');
  const rounded = stored ? scaled + roundingOf(truth.data, stored) : scaled;
  return rounded * (golden.tolerance?.[node.op] ?? 1);
}

/** The largest error of rounding these numbers to a format, relative to their rms. */
function roundingOf(truth: Float64Array, { unitRoundoff, halfSmallest }: LowFormat): number {
  const max = truth.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const rms = Math.sqrt(truth.reduce((sum, x) => sum + x * x, 0) / truth.length);
  return rms === 0 ? 0 : (max * unitRoundoff + halfSmallest) / rms;
}

/** What makes the bounds of a file wider than usual, one line each. */
export function describeBounds({ header, tensors, tolerance = {} }: Golden): string[] {
  const lines: string[] = [];
  const computed = BY_PRECISION[header.precision];
  if (computed) {
    const factor = computed.unitRoundoff / FLOAT32_ROUNDOFF;
    lines.push(
      `bounds: ${factor} times the errors of float32 plus one rounding, because the truth was computed in ${computed.name}`,
    );
  }
  const stored = new Set([...tensors.values()].flatMap(({ dtype }) => BY_DTYPE[dtype] ?? []));
  for (const format of stored) {
    if (format !== computed) lines.push(`bounds: one rounding wider where the truth is stored in ${format.name}`);
  }
  const changed = Object.entries(tolerance).filter(([, factor]) => factor !== 1);
  if (changed.length > 0) {
    const isWider = changed.some(([, factor]) => factor > 1);
    const factors = [...new Set(changed.map(([, factor]) => factor))];
    const isUniform = factors.length === 1 && changed.length === Object.keys(BOUNDS).length;
    const what = isUniform ? `all by ${factors[0]}` : changed.map(([op, factor]) => `${op} by ${factor}`).join(', ');
    lines.push(`bounds ${isWider ? 'LOOSENED' : 'tightened'} by --tolerance: ${what}`);
  }
  return lines;
}

/** The same factor for all ops. */
export function uniformTolerance(factor: number): Tolerance {
  return Object.fromEntries(Object.keys(BOUNDS).map((op) => [op, factor]));
}
