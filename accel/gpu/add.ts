import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/**
 * y = a + b, each element rounded once.
 *
 * @see reference/add.ts
 */
export function add(device: Device): (a: DeviceTensor, b: DeviceTensor) => Promise<DeviceTensor> {
  const sum = device.kernel(sumKernel);
  return (a, b) => sum(a.shape, a, b);
}

function sumKernel(this: Thread, a: number[][], b: number[][]): number {
  return a[this.thread.y][this.thread.x] + b[this.thread.y][this.thread.x];
}
