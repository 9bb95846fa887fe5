import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/**
 * Turns the scores of T tokens after `past` earlier ones into weights: the softmax of the first past + t + 1 elements of
 * row t, and exactly 0 for the others, which are later positions.
 *
 * Three kernels compute the maxima of parts of a row, the sums of e^(x − m) in parts, and the weights.
 *
 * @returns for scores [T, H, S], S ≥ past + T, the weights [T, H, S]
 * @see reference/softmax.ts
 */
export function softmax(device: Device): (scores: DeviceTensor, past: number) => Promise<DeviceTensor> {
  const { parts } = device;
  const integers = { parts };
  const maxima = device.kernel(maximumKernel, { integers });
  const sums = device.kernel(sumKernel, { integers });
  const normalize = device.kernel(normalizeKernel, { integers });
  return (scores, past) =>
    device.scope(async () => {
      const [T, H, S] = scores.shape;
      const rounds = Math.ceil(S / parts);
      const partMaxima = await maxima([T, H, parts], scores, past, rounds);
      const partSums = await sums([T, H, parts], scores, partMaxima, past, rounds);
      return normalize(scores.shape, scores, partMaxima, partSums, past);
    });
}

interface Constants {
  parts: number;
}

/** The maximum begins at −3e38, below any score and finite, because not all GPUs support infinities. */
function maximumKernel(this: Thread<Constants>, scores: number[][][], past: number, rounds: number): number {
  let maximum = -3e38;
  for (let i = 0; i < rounds; i++) {
    const s = i * this.constants.parts + this.thread.x;
    if (s <= past + this.thread.z) maximum = Math.max(maximum, scores[this.thread.z][this.thread.y][s]);
  }
  return maximum;
}

function sumKernel(
  this: Thread<Constants>,
  scores: number[][][],
  partMaxima: number[][][],
  past: number,
  rounds: number,
): number {
  let maximum = partMaxima[this.thread.z][this.thread.y][0];
  for (let p = 1; p < this.constants.parts; p++) {
    maximum = Math.max(maximum, partMaxima[this.thread.z][this.thread.y][p]);
  }
  let sum = 0;
  for (let i = 0; i < rounds; i++) {
    const s = i * this.constants.parts + this.thread.x;
    if (s <= past + this.thread.z) sum += Math.exp(scores[this.thread.z][this.thread.y][s] - maximum);
  }
  return sum;
}

function normalizeKernel(
  this: Thread<Constants>,
  scores: number[][][],
  partMaxima: number[][][],
  partSums: number[][][],
  past: number,
): number {
  let weight = 0;
  if (this.thread.x <= past + this.thread.z) {
    let maximum = partMaxima[this.thread.z][this.thread.y][0];
    let sum = 0;
    for (let p = 0; p < this.constants.parts; p++) {
      maximum = Math.max(maximum, partMaxima[this.thread.z][this.thread.y][p]);
      sum += partSums[this.thread.z][this.thread.y][p];
    }
    weight = Math.exp(scores[this.thread.z][this.thread.y][this.thread.x] - maximum) / sum;
  }
  return weight;
}
