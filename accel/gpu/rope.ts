import { ropeTables as referenceTables } from '../../reference/rope.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { tensor } from '../../reference/lib/tensor.js';
import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/** The cosine and sine of every angle: [positions, D/2] each. */
export interface DeviceRopeTables {
  cos: DeviceTensor;
  sin: DeviceTensor;
}

/** The reference's tables for the first T positions, rounded to float32. */
export async function ropeTables(device: Device, D: number, theta: number, T: number): Promise<DeviceRopeTables> {
  const { cos, sin } = referenceTables(D, theta, 0, T);
  const upload = (values: Float64Array): Promise<DeviceTensor> =>
    device.upload(tensor([T, D / 2], Float32Array.from(values)));
  return { cos: await upload(cos), sin: await upload(sin) };
}

/**
 * (a, b) → (a cos − b sin, b cos + a sin) for each pair of elements of each head.
 *
 * @param H heads
 * @returns for x [T, C] and the tables of its T positions, [T, C]
 * @see reference/rope.ts
 */
export function rope(
  device: Device,
  H: number,
  pairing: ModelConfig['ropePairing'],
): (x: DeviceTensor, tables: DeviceRopeTables) => Promise<DeviceTensor> {
  const half = device.kernel(halfKernel);
  const interleaved = device.kernel(interleavedKernel);
  return async (x, { cos, sin }) => {
    const [T, C] = x.shape;
    const D = C / H;
    const rotated =
      pairing === 'half' ? await half([T, H, D], x, cos, sin, D, D / 2) : await interleaved([T, H, D], x, cos, sin, D);
    return device.reshape(rotated, [T, C]);
  };
}

/** Pairs element i with element i + D/2. */
function halfKernel(this: Thread, x: number[][], cos: number[][], sin: number[][], D: number, half: number): number {
  let i = this.thread.x;
  let partner = this.thread.x + half;
  let sign = -1;
  if (this.thread.x >= half) {
    i = this.thread.x - half;
    partner = this.thread.x - half;
    sign = 1;
  }
  return (
    x[this.thread.z][this.thread.y * D + this.thread.x] * cos[this.thread.z][i] +
    sign * x[this.thread.z][this.thread.y * D + partner] * sin[this.thread.z][i]
  );
}

/** Pairs element 2i with element 2i + 1. */
function interleavedKernel(this: Thread, x: number[][], cos: number[][], sin: number[][], D: number): number {
  let partner = this.thread.x + 1;
  const i = Math.floor(this.thread.x * 0.5);
  let sign = -1;
  if (this.thread.x - 2 * i > 0.5) {
    partner = this.thread.x - 1;
    sign = 1;
  }
  return (
    x[this.thread.z][this.thread.y * D + this.thread.x] * cos[this.thread.z][i] +
    sign * x[this.thread.z][this.thread.y * D + partner] * sin[this.thread.z][i]
  );
}
