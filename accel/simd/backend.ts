import { DeviceSession, type Backend, type LoadedModel, type SessionDevice } from '../session.js';
import { Engine } from './engine.js';
import { KvCache } from './kvCache.js';
import { SimdMemory } from './memory.js';
import { CHUNK, forward } from './model.js';
import { uploadModel } from './upload.js';

/**
 * Prepares a model for WebAssembly SIMD on threads. Weights whose home is a {@link SimdMemory} stay where they are;
 * others are copied. Sessions share the weights and take turns on the threads.
 *
 * @param threads all cores by default
 * @throws DeviceError if SIMD or memory is missing, or a thread cannot be started.
 */
export async function openSimdBackend(model: LoadedModel, threads?: number): Promise<Backend> {
  const memory = model.home instanceof SimdMemory ? model.home : undefined;
  const engine = await Engine.open({ memory, threads });
  try {
    const uploaded = uploadModel(model, engine);
    const shared: SessionDevice<KvCache> = {
      chunk: CHUNK,
      openCache: () => new KvCache(engine.memory, model.config),
      exclusive: (body) => engine.exclusive(body),
      forward: (ids, cache, logits, trace) => forward(ids, uploaded, cache, logits, trace),
    };
    return {
      name: threads === undefined ? 'simd' : `simd:${threads}`,
      adapter: engine.adapter,
      openSession: () => new DeviceSession(shared),
      dispose: () => engine.dispose(),
    };
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
