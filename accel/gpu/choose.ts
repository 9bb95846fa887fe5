import { DeviceError, messageOf } from '../../src/errors.js';
import { tensor } from '../../src/tensor.js';
import { add } from './add.js';
import { GPU_BACKENDS, openDevice, type GpuBackend } from './device.js';

/** The backend to take, and why not those before it. */
export interface Choice {
  backend: GpuBackend;
  adapter: string;
  passedOver: string[];
}

/**
 * Finds the fastest backend that really works: each is opened and has to add two numbers. A GPU that is played by a
 * program on the CPU does not count, since `webasm` is faster.
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
    const two = await device.upload(tensor([1, 1], Float32Array.of(2)));
    const { data } = await device.read(await add(device)(two, two));
    if (data[0] !== 4) throw new DeviceError(`${backend}: 2 + 2 gave ${data[0]}`);
    return device;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    throw new DeviceError(`${backend}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  } finally {
    await device.dispose();
  }
}
