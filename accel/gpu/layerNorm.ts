import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/** A LayerNorm's vectors on the device. */
export interface DeviceLayerNorm {
  weight: DeviceTensor; // [C]
  bias: DeviceTensor; // [C], zeros where the layer has none
}

/**
 * y = (x − μ) / √(σ² + ε) · weight + bias, in three kernels: sums of parts of a row, sums of parts of its squared
 * deviations (two passes, since E[x²] − μ² would cancel), and the result.
 *
 * @see reference/layerNorm.ts
 */
export function layerNorm(
  device: Device,
  C: number,
  eps: number,
): (x: DeviceTensor, norm: DeviceLayerNorm) => Promise<DeviceTensor> {
  const parts = Math.max(LEAST_PARTS, device.parts);
  const integers = { C, parts, rounds: Math.ceil(C / parts) };
  const sums = device.kernel(sumKernel, { integers });
  const squares = device.kernel(squareKernel, { integers });
  const normalise = device.kernel(normaliseKernel, { integers, reals: { eps } });
  return (x, { weight, bias }) =>
    device.scope(async () => {
      const [T] = x.shape;
      const partSums = await sums([T, parts], x);
      const partSquares = await squares([T, parts], x, partSums);
      return normalise(x.shape, x, partSums, partSquares, weight, bias);
    });
}

/** One running float32 sum of 1,024 numbers is six times as far from the truth as eight of 128. */
const LEAST_PARTS = 8;

interface Constants {
  C: number;
  parts: number;
  rounds: number;
  eps: number;
}

/** Part p of a row: elements p, p + parts, p + 2 parts, …, which neighbouring threads read side by side. */
function sumKernel(this: Thread<Constants>, x: number[][]): number {
  let sum = 0;
  for (let i = 0; i < this.constants.rounds; i++) {
    const c = i * this.constants.parts + this.thread.x;
    if (c < this.constants.C) sum += x[this.thread.y][c];
  }
  return sum;
}

function squareKernel(this: Thread<Constants>, x: number[][], partSums: number[][]): number {
  let mean = 0;
  for (let p = 0; p < this.constants.parts; p++) mean += partSums[this.thread.y][p];
  mean = mean / this.constants.C;
  let sum = 0;
  for (let i = 0; i < this.constants.rounds; i++) {
    const c = i * this.constants.parts + this.thread.x;
    if (c < this.constants.C) {
      const deviation = x[this.thread.y][c] - mean;
      sum += deviation * deviation;
    }
  }
  return sum;
}

function normaliseKernel(
  this: Thread<Constants>,
  x: number[][],
  partSums: number[][],
  partSquares: number[][],
  weight: number[],
  bias: number[],
): number {
  let mean = 0;
  let variance = 0;
  for (let p = 0; p < this.constants.parts; p++) {
    mean += partSums[this.thread.y][p];
    variance += partSquares[this.thread.y][p];
  }
  mean = mean / this.constants.C;
  variance = variance / this.constants.C;
  const scale = 1 / Math.sqrt(variance + this.constants.eps);
  return (x[this.thread.y][this.thread.x] - mean) * scale * weight[this.thread.x] + bias[this.thread.x];
}
