import type { Backend, Session, SessionForwardOptions } from '../../src/backend.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { Engine } from './engine.js';
import { KvCache } from './kvCache.js';
import { SimdMemory } from './memory.js';
import { forward } from './model.js';
import { uploadModel, type SimdModel } from './upload.js';

/**
 * Makes a model ready for WebAssembly SIMD on threads. Weights that were read into a {@link SimdMemory} stay where they
 * are. Sessions share the weights and take turns.
 *
 * @param threads the cores there are unless told
 * @throws DeviceError if there is no SIMD here, no memory, or a thread cannot be started.
 */
export async function openSimdBackend(model: Model, threads?: number): Promise<Backend> {
  const engine = await Engine.open({ memory: SimdMemory.of(model.weights.embedding.data.buffer), threads });
  try {
    const uploaded = uploadModel(model, engine);
    return {
      name: threads === undefined ? 'simd' : `simd:${threads}`,
      adapter: engine.adapter,
      openSession: () => new SimdSession(uploaded),
      dispose: () => engine.dispose(),
    };
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}

class SimdSession implements Session {
  readonly chunk = 128;
  readonly #model: SimdModel;
  #cache: KvCache | null;

  constructor(model: SimdModel) {
    this.#model = model;
    this.#cache = new KvCache(model.engine.memory, model.config);
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  forward(ids: readonly number[], { logits = 'last', trace }: SessionForwardOptions = {}): Promise<Tensor> {
    return this.#model.engine.turns.take(() => {
      if (!this.#cache) throw new InputError('the session has been disposed');
      return forward(ids, this.#model, this.#cache, logits, trace);
    });
  }

  reset(): void {
    if (this.#cache) this.#cache.length = 0;
  }

  async dispose(): Promise<void> {
    await this.#model.engine.turns.take(() => {
      this.#cache?.dispose();
      this.#cache = null;
      return Promise.resolve();
    });
  }
}
