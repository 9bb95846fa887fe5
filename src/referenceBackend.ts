import { DeviceSession, type SessionDevice } from '../accel/deviceSession.js';
import { Mutex } from '../accel/mutex.js';
import type { Backend } from '../accel/session.js';
import { forward, KvCache } from '../reference/index.js';
import type { Model } from '../reference/lib/weights.js';

/** The reference as a backend: plain loops on the calling thread. */
export function openReferenceBackend(model: Model): Backend {
  const mutex = new Mutex();
  const device: SessionDevice<KvCache> = {
    config: model.config,
    chunk: 16,
    tracesAttnWeights: true,
    batchInvariant: true,
    replacesActivations: true,
    openCache: () => new KvCache(model.config),
    forkCache: (cache) => cache.fork(),
    exclusive: (body) => mutex.run(body),
    forward: (ids, cache, logits, trace, attnWeights) =>
      Promise.resolve(forward(ids, model, { cache, logits, trace, attnWeights })),
  };
  return {
    name: 'reference',
    adapter: 'JavaScript',
    openSession: () => new DeviceSession(device),
    forwardBatch: (batch) => DeviceSession.forwardBatch(device, batch),
    dispose: () => Promise.resolve(),
  };
}
