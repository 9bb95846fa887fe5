import type { Floats } from '../../../reference/lib/tensor.js';
import { softmaxInPlace } from '../../../reference/softmax.js';

/** The softmax of logits, by the reference. */
export function probabilitiesOf(logits: Floats): Float64Array {
  const row = Float64Array.from(logits);
  softmaxInPlace(row, row.length);
  return row;
}
