import { DeviceSession, type Session } from '../accel/session.js';
import { Mutex } from '../accel/mutex.js';
import { forward, KvCache } from '../reference/index.js';
import type { Model } from '../reference/lib/weights.js';

/** A session on the reference: plain loops on the calling thread. */
export function openReferenceSession(model: Model): Session {
  const mutex = new Mutex();
  return new DeviceSession<KvCache>({
    chunk: 16,
    tracesAttnWeights: true,
    replacesActivations: true,
    openCache: () => new KvCache(model.config),
    exclusive: (body) => mutex.run(body),
    forward: (ids, cache, logits, trace, attnWeights) =>
      Promise.resolve(forward(ids, model, { cache, logits, trace, attnWeights })),
  });
}
