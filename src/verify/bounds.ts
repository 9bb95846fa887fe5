import type { Golden, GoldenTensor } from './golden.js';
import type { GraphNode } from './graph.js';
import { boundOf, BOUNDS, type Precision } from './tolerance.js';

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
