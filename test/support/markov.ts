import { tensor } from '../../reference/lib/tensor.js';
import type { Session } from '../../src/backend.js';

/** A session whose logits depend on the last token alone: row t of a table [V, V] comes after token t. */
export function markovSession(
  table: readonly (readonly number[])[],
  { batchInvariant = true }: { batchInvariant?: boolean } = {},
): Session {
  let length = 0;
  return {
    get length() {
      return length;
    },
    chunk: 16,
    tracesAttnWeights: false,
    batchInvariant,
    forward: (ids, { logits = 'last' } = {}) => {
      length += ids.length;
      const scored = logits === 'all' ? ids : ids.slice(-1);
      return Promise.resolve(
        tensor([scored.length, table.length], Float32Array.from(scored.flatMap((id) => table[id]))),
      );
    },
    fork: () => Promise.reject(new Error('unused')),
    reset: () => {
      length = 0;
    },
    truncate: (to) => {
      length = to;
    },
    dispose: () => Promise.resolve(),
  };
}
