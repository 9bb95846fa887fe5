/** Relative errors of float32 that a scale may have. */
const ROUNDING = 1e-4;

/** Fewer elements prove nothing. */
const MIN_ELEMENTS = 16;

/**
 * Recognizes dropout: some elements of the truth are 0, and all others are 1 / (1 − p) times ours.
 *
 * @param stream what a residual sum adds to the dropped values, or null
 * @returns p to two digits, or null if it was something else
 */
export function findDropout(
  ours: ArrayLike<number>,
  truth: ArrayLike<number>,
  stream: ArrayLike<number> | null,
): number | null {
  const at = (values: ArrayLike<number>, i: number) => values[i] - (stream ? stream[i] : 0);
  const size = Math.sqrt(Array.from(ours, (_, i) => at(ours, i) ** 2).reduce((a, b) => a + b, 0) / ours.length);
  // Small elements have large relative errors, and elements that are 0 anyway say nothing.
  const large = Array.from(ours, (_, i) => i).filter((i) => Math.abs(at(ours, i)) > size / 100);
  const kept = large.filter((i) => Math.abs(at(truth, i)) > size / 1000);
  if (kept.length < MIN_ELEMENTS || kept.length === large.length) return null;
  const scales = kept.map((i) => at(truth, i) / at(ours, i));
  const scale = scales.reduce((a, b) => a + b, 0) / scales.length;
  if (scale <= 1 + ROUNDING || scales.some((it) => Math.abs(it / scale - 1) > ROUNDING * 10)) return null;
  return Number((1 - 1 / scale).toFixed(2));
}
