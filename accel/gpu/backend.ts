import type { Backend, Session, SessionForwardOptions } from '../../src/backend.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { openDevice, type GpuBackend } from './device.js';
import { KvCache } from './kvCache.js';
import { CHUNK, forward, uploadModel, type DeviceModel } from './model.js';

/**
 * Uploads a model to a backend of GPU.js. Its sessions share the weights and take turns.
 *
 * @throws DeviceError if the backend is not there or cannot hold the model.
 */
export async function openGpuBackend(model: Model, backend: GpuBackend): Promise<Backend> {
  const device = await openDevice(backend);
  try {
    const uploaded = await device.exclusive(() => uploadModel(model, device));
    return {
      name: `gpu:${backend}`,
      adapter: device.adapter,
      openSession: () => new GpuSession(uploaded),
      dispose: () => device.dispose(),
    };
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

class GpuSession implements Session {
  readonly chunk = CHUNK;
  readonly #model: DeviceModel;
  #cache: KvCache | null;

  constructor(model: DeviceModel) {
    this.#model = model;
    this.#cache = new KvCache(model.device, model.model.config);
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  forward(ids: readonly number[], { logits = 'last', trace }: SessionForwardOptions = {}): Promise<Tensor> {
    return this.#model.device.exclusive(() => {
      if (!this.#cache) throw new InputError('the session has been disposed');
      return forward(ids, this.#model, this.#cache, logits, trace);
    });
  }

  reset(): void {
    if (this.#cache) this.#cache.length = 0;
  }

  async dispose(): Promise<void> {
    await this.#model.device.exclusive(() => {
      this.#cache?.dispose();
      this.#cache = null;
      return Promise.resolve();
    });
  }
}
