import type { Floats } from '../../../reference/lib/tensor.js';
import { softmaxInPlace } from '../../../reference/softmax.js';

/** The softmax of logits, by the reference. */
export function probabilitiesOf(logits: Floats): Float64Array {
  const row = Float64Array.from(logits);
  softmaxInPlace(row, row.length);
  return row;
}

/** The ids of the largest logits, the largest first. */
export function likeliest(logits: Floats, count: number): number[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && logits[id] > logits[best[at - 1]]) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}
