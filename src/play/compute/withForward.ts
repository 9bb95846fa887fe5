import type { Session } from '../../backend.js';

/** A session like another one, but for what `forward` does. */
export function withForward(session: Session, forward: Session['forward']): Session {
  return {
    chunk: session.chunk,
    batchInvariant: session.batchInvariant,
    tracesAttnWeights: session.tracesAttnWeights,
    get length() {
      return session.length;
    },
    forward,
    reset: () => {
      session.reset();
    },
    truncate: (length) => {
      session.truncate(length);
    },
    fork: (length) => session.fork(length),
    dispose: () => session.dispose(),
  };
}
