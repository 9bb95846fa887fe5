import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/** A LayerNorm's vectors on the device. */
export interface DeviceLayerNorm {
  weight: DeviceTensor; // [C]
  bias: DeviceTensor; // [C], zeros where the layer has none
}

/**
 * y = (x − μ) / √(σ² + ε) · weight + bias.
 *
 * In float32 the mean m of a row is rounded. Where μ is far larger than σ, its rounding error can exceed σ, so δ, the mean
 * of x − m, corrects it: the deviations are (x − m) − δ. The variance is their mean square, since E[x²] − μ² would cancel.
 *
 * Three kernels compute one sum each, in parts of a row: for m, for δ and for the variance. The fourth normalizes.
 *
 * @see reference/layerNorm.ts
 */
export function layerNorm(
  device: Device,
  C: number,
  eps: number,
): (x: DeviceTensor, norm: DeviceLayerNorm) => Promise<DeviceTensor> {
  const parts = Math.max(MIN_PARTS, device.parts);
  const integers = { C, parts, rounds: Math.ceil(C / parts) };
  const sums = device.kernel(sumKernel, { integers });
  const deviations = device.kernel(deviationKernel, { integers });
  const squares = device.kernel(squareKernel, { integers });
  const normalize = device.kernel(normalizeKernel, { integers, reals: { eps } });
  return (x, { weight, bias }) =>
    device.scope(async () => {
      const [T] = x.shape;
      const partSums = await sums([T, parts], x);
      const partDeviations = await deviations([T, parts], x, partSums);
      const partSquares = await squares([T, parts], x, partSums, partDeviations);
      return normalize(x.shape, x, partSums, partDeviations, partSquares, weight, bias);
    });
}

/** Eight running float32 sums of 128 numbers are six times as accurate as one of 1,024. */
const MIN_PARTS = 8;

interface Constants {
  C: number;
  parts: number;
  rounds: number;
  eps: number;
}

/** Part p of a row: elements p, p + parts, p + 2 parts, …, so that neighboring threads read neighboring elements. */
function sumKernel(this: Thread<Constants>, x: number[][]): number {
  let sum = 0;
  for (let i = 0; i < this.constants.rounds; i++) {
    const c = i * this.constants.parts + this.thread.x;
    if (c < this.constants.C) sum += x[this.thread.y][c];
  }
  return sum;
}

function deviationKernel(this: Thread<Constants>, x: number[][], partSums: number[][]): number {
  let mean = 0;
  for (let p = 0; p < this.constants.parts; p++) mean += partSums[this.thread.y][p];
  mean = mean / this.constants.C;
  let sum = 0;
  for (let i = 0; i < this.constants.rounds; i++) {
    const c = i * this.constants.parts + this.thread.x;
    if (c < this.constants.C) sum += x[this.thread.y][c] - mean;
  }
  return sum;
}

function squareKernel(
  this: Thread<Constants>,
  x: number[][],
  partSums: number[][],
  partDeviations: number[][],
): number {
  let mean = 0;
  let correction = 0;
  for (let p = 0; p < this.constants.parts; p++) {
    mean += partSums[this.thread.y][p];
    correction += partDeviations[this.thread.y][p];
  }
  mean = mean / this.constants.C;
  correction = correction / this.constants.C;
  let sum = 0;
  for (let i = 0; i < this.constants.rounds; i++) {
    const c = i * this.constants.parts + this.thread.x;
    if (c < this.constants.C) {
      const deviation = x[this.thread.y][c] - mean - correction;
      sum += deviation * deviation;
    }
  }
  return sum;
}

function normalizeKernel(
  this: Thread<Constants>,
  x: number[][],
  partSums: number[][],
  partDeviations: number[][],
  partSquares: number[][],
  weight: number[],
  bias: number[],
): number {
  let mean = 0;
  let correction = 0;
  let variance = 0;
  for (let p = 0; p < this.constants.parts; p++) {
    mean += partSums[this.thread.y][p];
    correction += partDeviations[this.thread.y][p];
    variance += partSquares[this.thread.y][p];
  }
  mean = mean / this.constants.C;
  correction = correction / this.constants.C;
  variance = variance / this.constants.C;
  const deviation = x[this.thread.y][this.thread.x] - mean - correction;
  const scale = 1 / Math.sqrt(variance + this.constants.eps);
  return deviation * scale * weight[this.thread.x] + bias[this.thread.x];
}
