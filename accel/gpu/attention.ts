import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';
import { softmax } from './softmax.js';

/**
 * y[t] = Σₛ softmaxₛ(q[t] · k[s] / √D) v[s],  s ≤ past + t, for every head: scores, softmax, weighted sum.
 *
 * On GPUs one token takes two kernels, see {@link attentionOfOne}.
 *
 * @param H heads of width D
 * @returns for q [T, C] and k, v [capacity, C], of which the first past + T rows are filled, [T, C]
 * @see reference/attention.ts
 */
export function attention(
  device: Device,
  H: number,
  D: number,
): (q: DeviceTensor, k: DeviceTensor, v: DeviceTensor, past: number) => Promise<DeviceTensor> {
  const constants = { integers: { D }, reals: { scale: 1 / Math.sqrt(D) } };
  // for one token, waking threads takes longer than the work
  const scoresOfOne = device.kernel(scoreKernel, { ...constants, threads: false });
  const scoresOfMany = device.kernel(scoreKernel, { ...constants, threads: true });
  const gatherOne = device.kernel(gatherKernel, { ...constants, threads: false });
  const gatherMany = device.kernel(gatherKernel, { ...constants, threads: true });
  const weigh = softmax(device);
  const step = keyStep(device);
  const attendOne = device.parts > 1 ? attentionOfOne(device, H, D) : null;
  return async (q, k, v, past) => {
    const [T, C] = q.shape;
    if (T === 1 && attendOne) return attendOne(q, k, v, past);
    const scores = T === 1 ? scoresOfOne : scoresOfMany;
    const gather = T === 1 ? gatherOne : gatherMany;
    const S = Math.ceil((past + T) / step) * step;
    const y = await device.scope(async () => {
      const keys = device.backend === 'webasm' ? await device.rows(k, 0, S) : k;
      const values = device.backend === 'webasm' ? await device.rows(v, 0, S) : v;
      const weights = await weigh(await scores([T, H, S], q, keys, past), past);
      return gather([T, H, D], weights, values, past);
    });
    return device.reshape(y, [T, C]);
  };
}

/**
 * Attention of one token on a GPU: one kernel for the scores and one for their softmax and the weighted sum, in which every
 * thread computes the sum of the weights again. Launching kernels for the softmax takes longer.
 *
 * @returns for q [1, C] or a matrix that begins with it, and k, v [capacity, C], [1, C]
 */
export function attentionOfOne(
  device: Device,
  H: number,
  D: number,
): (q: DeviceTensor, k: DeviceTensor, v: DeviceTensor, past: number) => Promise<DeviceTensor> {
  const scores = device.kernel(scoreKernel, { integers: { D }, reals: { scale: 1 / Math.sqrt(D) } });
  const gather = device.kernel(softmaxGatherKernel, { integers: { D } });
  return async (q, k, v, past) => {
    const y = await device.scope(async () => gather([1, H, D], await scores([1, H, past + 1], q, k, past), v, past));
    return device.reshape(y, [1, H * D]);
  };
}

/**
 * The number of keys is rounded up to a multiple of this. `webasm` compiles a module for every new size, so it rounds up;
 * the other backends take exactly the keys that exist.
 */
export function keyStep({ backend }: Device): number {
  return backend === 'webasm' ? 128 : 1;
}

interface Constants {
  D: number;
  scale: number;
}

function scoreKernel(this: Thread<Constants>, q: number[][], k: number[][], past: number): number {
  let dot = 0;
  if (this.thread.x <= past + this.thread.z) {
    for (let d = 0; d < this.constants.D; d++) {
      dot +=
        q[this.thread.z][this.thread.y * this.constants.D + d] * k[this.thread.x][this.thread.y * this.constants.D + d];
    }
  }
  return dot * this.constants.scale;
}

function gatherKernel(this: Thread<Constants>, weights: number[][][], v: number[][], past: number): number {
  let sum = 0;
  for (let s = 0; s <= past + this.thread.z; s++) {
    sum += weights[this.thread.z][this.thread.y][s] * v[s][this.thread.y * this.constants.D + this.thread.x];
  }
  return sum;
}

/**
 * The softmax in one loop: a larger maximum scales what was summed before. GPU.js cannot compile two loops whose bound is an
 * argument once a minifier has given their counters one name.
 */
function softmaxGatherKernel(this: Thread<Constants>, scores: number[][][], v: number[][], past: number): number {
  let maximum = -3e38; // below any score and finite, because not all GPUs support infinities
  let total = 0;
  let sum = 0;
  for (let s = 0; s <= past; s++) {
    const score = scores[0][this.thread.y][s];
    const larger = Math.max(maximum, score);
    const kept = Math.exp(maximum - larger);
    const weight = Math.exp(score - larger);
    total = total * kept + weight;
    sum = sum * kept + weight * v[s][this.thread.y * this.constants.D + this.thread.x];
    maximum = larger;
  }
  return sum / total;
}
