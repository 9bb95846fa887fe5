import { DeviceSession, type SessionDevice } from '../deviceSession.js';
import type { Backend, LoadedModel } from '../session.js';
import { Engine } from './engine.js';
import { KvCache } from './kvCache.js';
import { SimdMemory } from './memory.js';
import { CHUNK, forward, forwardBatch } from './model.js';
import { uploadModel } from './upload.js';

/**
 * Prepares a model for WebAssembly SIMD on threads. Weights whose home is a {@link SimdMemory} stay there; others are
 * copied. Sessions share the weights and take turns on the threads. Where workers cannot start, the caller's thread computes
 * alone, and `adapter` says why.
 *
 * @param threads by default all cores, or what a container's CPU quota allows
 * @throws DeviceError if WebAssembly SIMD is missing or forbidden, or memory runs out.
 */
export async function openSimdBackend(model: LoadedModel, threads?: number): Promise<Backend> {
  const memory = model.home instanceof SimdMemory ? model.home : undefined;
  const engine = await Engine.open({ memory, threads });
  try {
    const uploaded = uploadModel(model, engine);
    const shared: SessionDevice<KvCache> = {
      config: model.config,
      chunk: CHUNK,
      batchInvariant: true,
      openCache: () => new KvCache(engine.memory, model.config),
      forkCache: (cache) => cache.fork(),
      exclusive: (body) => engine.exclusive(body),
      forward: (ids, cache, logits, trace) => forward(ids, uploaded, cache, logits, trace),
      forwardBatch: (parts) => forwardBatch(parts, uploaded),
    };
    return {
      name: threads === undefined ? 'simd' : `simd:${threads}`,
      adapter: engine.adapter,
      openSession: () => new DeviceSession(shared),
      forwardBatch: (batch) => DeviceSession.forwardBatch(shared, batch),
      dispose: () => engine.dispose(),
    };
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
