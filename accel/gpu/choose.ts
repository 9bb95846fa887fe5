import { forward as referenceForward } from '../../reference/model.js';
import { syntheticModel } from '../../src/checkpoint/synthetic.js';
import { PRESETS } from '../../src/checkpoint/config.js';
import { DeviceError } from '../errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import { builtin } from '../builtin.js';
import { GPU_BACKENDS, openDevice, type Device, type GpuBackend } from './device.js';
import { KvCache } from './kvCache.js';
import { forward, uploadModel } from './model.js';

/** What was tried, and why it is not taken. */
export interface Search<Found> {
  backend: Found;
  adapter: string;
  passedOver: string[];
}

/**
 * Finds the fastest backend that really works: each is opened and has to compute a small model as the reference does. A
 * GPU that is played by a program on the CPU does not count, since `webasm` is faster.
 *
 * @throws DeviceError if none works, with the reason for each.
 */
export async function chooseGpuBackend(): Promise<Search<GpuBackend>> {
  const absent = absentGpu();
  const { backend, adapter, passedOver } = await search(
    GPU_BACKENDS.filter((it) => it !== 'webgpu' || !absent),
    absent ? [`webgpu: ${absent}`] : [],
  );
  if (!backend) throw new DeviceError(passedOver.join('; '));
  return { backend, adapter, passedOver };
}

/** Finds a GPU that really works, as {@link chooseGpuBackend} does, or says why there is none. */
export async function chooseRealGpu(): Promise<Search<GpuBackend | null>> {
  const absent = absentGpu();
  if (absent) return { backend: null, adapter: '', passedOver: [absent] };
  return search(['webgpu', 'webgl2']);
}

async function search(
  candidates: readonly GpuBackend[],
  passedOver: string[] = [],
): Promise<Search<GpuBackend | null>> {
  for (const backend of candidates) {
    try {
      const { adapter, software } = await tryOut(backend);
      if (!software) return { backend, adapter, passedOver };
      passedOver.push(`${backend}: ${adapter} is software`);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      passedOver.push(error.message);
    }
  }
  return { backend: null, adapter: '', passedOver };
}

/**
 * On Linux a GPU has a file. Where there is none, its drivers are not asked, unless somebody has named one: they complain
 * on stderr, and take time.
 */
function absentGpu(): string | null {
  const { process } = globalThis as { process?: { platform: string; env: Record<string, string | undefined> } };
  const fs = builtin('node:fs') as NodeFs | undefined;
  if (!fs || process?.platform !== 'linux' || process.env.VK_ICD_FILENAMES) return null;
  const files = ['/dev/dri', '/dev/nvidiactl', '/dev/kfd', '/dev/dxg', '/dev/mali0'];
  return files.some((file) => fs.existsSync(file)) ? null : 'there is no GPU here';
}

interface NodeFs {
  existsSync: (path: string) => boolean;
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
