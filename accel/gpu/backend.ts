import type { Model } from '../../reference/lib/weights.js';
import { DeviceSession, type SessionDevice } from '../deviceSession.js';
import type { Backend } from '../session.js';
import type { GpuBackend } from './device.js';
import { KvCache } from './kvCache.js';
import { CHUNK, forward } from './model.js';
import { openDevice } from './openDevice.js';
import { uploadModel } from './upload.js';

/**
 * Uploads a model to a GPU.js backend. Its sessions share the weights and use the device one at a time.
 *
 * @throws DeviceError if the backend is missing or cannot hold the model.
 */
export async function openGpuBackend(model: Model, backend: GpuBackend): Promise<Backend> {
  const device = await openDevice(backend);
  try {
    const uploaded = await device.exclusive(() => uploadModel(model, device));
    const shared: SessionDevice<KvCache> = {
      config: model.config,
      chunk: CHUNK,
      openCache: () => new KvCache(device, model.config),
      forkCache: (cache) => cache.fork(),
      exclusive: (body) => device.exclusive(body),
      forward: (ids, cache, logits, trace) => forward(ids, uploaded, cache, logits, trace),
    };
    return {
      name: `gpu:${backend}`,
      adapter: device.adapter,
      openSession: () => new DeviceSession(shared),
      forwardBatch: (batch) => DeviceSession.forwardBatch(shared, batch),
      dispose: () => device.dispose(),
    };
  } catch (error) {
    await device.dispose();
    throw error;
  }
}
