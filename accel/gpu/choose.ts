import { forward as referenceForward } from '../../reference/model.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { Model } from '../../reference/lib/weights.js';
import { builtin } from '../builtin.js';
import { DeviceError } from '../errors.js';
import { GPU_BACKENDS, type Device, type GpuBackend } from './device.js';
import { KvCache } from './kvCache.js';
import { forward } from './model.js';
import { openDevice } from './openDevice.js';
import { uploadModel } from './upload.js';

/** The chosen backend, and why others were rejected. */
export interface Search<Found> {
  backend: Found;
  adapter: string;
  passedOver: string[];
}

/**
 * Finds the fastest backend that works: each is opened and must compute a small model as the reference does. Software
 * GPUs are rejected, because `webasm` is faster.
 *
 * @param trial the small model, with a vocabulary of at least 6 tokens and a block_size of at least 5
 * @throws DeviceError if none works, with a reason for each.
 */
export async function chooseGpuBackend(trial: Model): Promise<Search<GpuBackend>> {
  const absence = missingGpu();
  const candidates = GPU_BACKENDS.filter((it) => it !== 'webgpu' || !absence);
  const { backend, adapter, passedOver } = await search(candidates, trial, absence ? [`webgpu: ${absence}`] : []);
  if (!backend) throw new DeviceError(passedOver.join('; '));
  return { backend, adapter, passedOver };
}

/** Finds a real GPU that works, as {@link chooseGpuBackend} does. `backend` is null if there is none. */
export async function chooseRealGpu(trial: Model): Promise<Search<GpuBackend | null>> {
  const absence = missingGpu();
  if (absence) return { backend: null, adapter: '', passedOver: [absence] };
  return search(['webgpu', 'webgl2'], trial);
}

async function search(
  candidates: readonly GpuBackend[],
  trial: Model,
  passedOver: string[] = [],
): Promise<Search<GpuBackend | null>> {
  for (const backend of candidates) {
    try {
      const { adapter, software } = await tryBackend(backend, trial);
      if (!software) return { backend, adapter, passedOver };
      passedOver.push(`${backend}: ${adapter} is a software GPU`);
    } catch (error) {
      passedOver.push(reasonOf(backend, error));
    }
  }
  return { backend: null, adapter: '', passedOver };
}

/**
 * Why there can be no GPU, or null. On Linux a GPU has a device file. Without one, do not load GPU drivers: they are slow
 * and print warnings to stderr. If VK_ICD_FILENAMES is set, it names a driver to load anyway.
 */
function missingGpu(): string | null {
  const { process } = globalThis as { process?: { platform: string; env: Record<string, string | undefined> } };
  const fs = builtin('node:fs') as NodeFs | undefined;
  if (!fs || process?.platform !== 'linux' || process.env.VK_ICD_FILENAMES) return null;
  const files = ['/dev/dri', '/dev/nvidiactl', '/dev/kfd', '/dev/dxg', '/dev/mali0'];
  return files.some((file) => fs.existsSync(file)) ? null : 'no GPU found';
}

interface NodeFs {
  existsSync: (path: string) => boolean;
}

async function tryBackend(backend: GpuBackend, trial: Model): Promise<{ adapter: string; software: boolean }> {
  const device = await openDevice(backend);
  try {
    if (!device.software) await computeTrial(device, trial);
    return device;
  } finally {
    await device.dispose();
  }
}

/** Opening a broken driver can throw anything; every error becomes one line. */
function reasonOf(backend: GpuBackend, error: unknown): string {
  return error instanceof DeviceError ? error.message : `${backend}: ${messageOf(error).split('\n')[0]}`;
}

/**
 * Computes five tokens of the trial model in three calls.
 *
 * @throws DeviceError if a logit (their magnitude is about 1) differs from the reference by more than 1e-3.
 */
export async function computeTrial(device: Device, trial: Model): Promise<void> {
  const model = await uploadModel(trial, device);
  const cache = new KvCache(device, trial.config);
  for (const ids of [[3, 1, 4], [1]]) await forward(ids, model, cache, 'last');
  const { data } = await forward([5], model, cache, 'last');
  cache.dispose();
  referenceForward([3, 1, 4, 1, 5], trial, { logits: 'last' }).data.forEach((expected, i) => {
    if (Math.abs(data[i] - expected) <= 1e-3) return;
    throw new DeviceError(`${device.backend}: computes wrong numbers: ${data[i]} instead of ${expected}`);
  });
}
