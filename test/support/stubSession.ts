import type { Session } from '../../src/backend.js';

/** A session that can do nothing but `forward`, which is all that some tests need. */
export function stubSession(forward: Session['forward'], tracesAttnWeights = false): Session {
  return {
    length: 0,
    chunk: 1,
    batchInvariant: true,
    tracesAttnWeights,
    forward,
    fork: () => Promise.reject(new Error('unused')),
    reset: () => undefined,
    truncate: () => undefined,
    dispose: () => Promise.resolve(),
  };
}
