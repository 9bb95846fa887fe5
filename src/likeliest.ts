import type { Floats } from '../reference/lib/tensor.js';

/** The ids of the `count` largest logits, the largest first; of equals, the lower id. By insertion, so `count` is small. */
export function likeliest(logits: Floats, count: number): number[] {
  const ids: number[] = [];
  if (count === 0) return ids;
  for (let id = 0; id < logits.length; id++) {
    if (ids.length === count && logits[id] <= logits[ids[count - 1]]) continue;
    let place = ids.length;
    while (place > 0 && logits[ids[place - 1]] < logits[id]) place--;
    ids.splice(place, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  return ids;
}
