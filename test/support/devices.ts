import { existsSync } from 'node:fs';
import { GPU_BACKENDS, type Device, type GpuBackend } from '../../accel/gpu/device.js';
import { openDevice } from '../../accel/gpu/openDevice.js';
import { DeviceError } from '../../accel/errors.js';

// Chromium's own software GPU serves Node as well; a real one is left alone.
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_ICD_FILENAMES && process.env.EMERGENT_REAL_GPU === undefined && existsSync(SWIFTSHADER)) {
  process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = SWIFTSHADER;
}

const missing = new Map<GpuBackend, string>();
const found = new Map<GpuBackend, string>();

for (const backend of GPU_BACKENDS) {
  try {
    const device = await openDevice(backend);
    found.set(backend, device.adapter);
    await device.dispose();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    missing.set(backend, error.message);
  }
}

/** What ran and what did not, for the reader of the tests' output. */
export const DEVICES: string = [
  ...[...found].map(([backend, adapter]) => `  ${backend} runs on ${adapter}`),
  ...[...missing].map(([backend, reason]) => `  ${backend} is skipped here: ${reason}`),
].join('\n');

/** A suite for each backend: it runs where the machine has it, and is skipped, with the reason in the title, where not. */
export function onEveryBackend(
  title: string,
  body: (backend: GpuBackend) => void,
  backends: readonly GpuBackend[] = GPU_BACKENDS,
): void {
  describe(title, () => {
    for (const backend of backends) {
      if (found.has(backend)) describe(`on ${backend}`, () => body(backend));
      else it.skip(`on ${backend}: ${missing.get(backend) ?? 'missing'}`);
    }
  });
}

/** Opens a device before the tests of the suite and disposes of it after them. */
export function useDevice(backend: GpuBackend): () => Device {
  let device: Device | null = null;
  before(async () => {
    device = await openDevice(backend);
  });
  after(() => device?.dispose());
  return () => device!;
}
