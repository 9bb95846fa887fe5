import { forward as referenceForward } from '../../reference/model.js';
import { syntheticModel } from '../../src/checkpoint/synthetic.js';
import { PRESETS } from '../../src/config.js';
import { DeviceError, messageOf } from '../../src/errors.js';
import { GPU_BACKENDS, openDevice, type Device, type GpuBackend } from './device.js';
import { KvCache } from './kvCache.js';
import { forward, uploadModel } from './model.js';

/** The backend to take, and why not those before it. */
export interface Choice {
  backend: GpuBackend;
  adapter: string;
  passedOver: string[];
}

/**
 * Finds the fastest backend that really works: each is opened and has to compute a small model as the reference does. A
 * GPU that is played by a program on the CPU does not count, since `webasm` is faster.
 *
 * @throws DeviceError if none works, with the reason for each.
 */
export async function chooseGpuBackend(): Promise<Choice> {
  const passedOver: string[] = [];
  for (const backend of GPU_BACKENDS) {
    try {
      const { adapter, software } = await tryOut(backend);
      if (!software) return { backend, adapter, passedOver };
      passedOver.push(`${backend}: ${adapter} is software`);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      passedOver.push(error.message);
    }
  }
  throw new DeviceError(passedOver.join('; '));
}

async function tryOut(backend: GpuBackend): Promise<{ adapter: string; software: boolean }> {
  const device = await openDevice(backend);
  try {
    if (!device.software) await computeTrial(device);
    return device;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    throw new DeviceError(`${backend}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  } finally {
    await device.dispose();
  }
}

const TRIAL = syntheticModel(
  { ...PRESETS.model_64_float, vocabSize: 32, blockSize: 8, nEmbed: 4, dModel: 16, nLayer: 1, nHead: 2 },
  1,
);

/** @throws DeviceError if logits, which are of the order of 1, are off by more than 1e-3. */
export async function computeTrial(device: Device): Promise<void> {
  const model = await uploadModel(TRIAL, device);
  const cache = new KvCache(device, TRIAL.config);
  for (const ids of [[3, 1, 4], [1]]) await forward(ids, model, cache, 'last');
  const { data } = await forward([5], model, cache, 'last');
  cache.dispose();
  referenceForward([3, 1, 4, 1, 5], TRIAL, { logits: 'last' }).data.forEach((expected, i) => {
    if (Math.abs(data[i] - expected) <= 1e-3) return;
    throw new DeviceError(`${device.backend}: it computes wrong numbers, ${data[i]} instead of ${expected}`);
  });
}
