import type { Float32Tensor } from '../../reference/lib/tensor.js';
import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/**
 * y[t] = table[ids[t]], with the table [V, E] on the device. The ids [T] are float32, which is exact
 * up to 2²⁴, because GPU.js has no integer arrays.
 *
 * @see reference/embedding.ts, which also checks the ids
 */
export function embedding(device: Device, table: Float32Tensor): (ids: DeviceTensor) => Promise<DeviceTensor> {
  const [, E] = table.shape;
  const lookUp = device.kernel(lookUpKernel, { tables: { codes: table } });
  return (ids) => lookUp([ids.shape[0], E], ids);
}

function lookUpKernel(this: Thread<{ codes: number[][] }>, ids: number[]): number {
  return this.constants.codes[ids[this.thread.y]][this.thread.x];
}
