import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/**
 * y[t, c] = x[t, ⌊c / repeats⌋].
 *
 * @see reference/repeatInterleave.ts
 */
export function repeatInterleave(device: Device): (x: DeviceTensor, repeats: number) => Promise<DeviceTensor> {
  const repeat = device.kernel(repeatKernel);
  return async (x, repeats) => {
    const [T, E] = x.shape;
    return device.reshape(await repeat([T, E, repeats], x), [T, E * repeats]);
  };
}

/** Computes [T, E, repeats], so that no index is divided: division on GPUs may be inexact. */
function repeatKernel(this: Thread, x: number[][]): number {
  return x[this.thread.z][this.thread.y];
}
