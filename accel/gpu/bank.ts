import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { LinearWeights } from '../../reference/lib/weights.js';
import type { DeviceTensor } from './device.js';

/** A layer whose weights are on the device: x [T, K] → [T, N]. */
export type DeviceLinear = (x: DeviceTensor) => Promise<DeviceTensor>;

/** Layers of one shape, in one table: GPU.js keeps tables on every backend, and a kernel has few of them. */
export interface Bank {
  N: number;
  K: number;
  layers: readonly LinearWeights[];
}

/** Layers by shape, as many in a bank as `bytes` allow, at least one. */
export function banksOf(layers: readonly LinearWeights[], bytes: number): Bank[] {
  const banks: (Bank & { layers: LinearWeights[] })[] = [];
  for (const layer of layers) {
    const [N, K] = layer.weight.shape;
    let bank = banks.find((it) => it.N === N && it.K === K && 4 * N * K * (it.layers.length + 1) <= bytes);
    if (!bank) banks.push((bank = { N, K, layers: [] }));
    bank.layers.push(layer);
  }
  return banks;
}

/** The biases of a bank, [layers, N], zeros where a layer has none. */
export function biasesOf({ N, layers }: Bank): Tensor {
  const biases = tensor([layers.length, N]);
  layers.forEach(({ bias }, i) => {
    if (bias) biases.data.set(bias.data, i * N);
  });
  return biases;
}

/** The largest divisor of K up to `limit`. */
export function divisorOf(K: number, limit: number): number {
  let divisor = Math.min(K, Math.max(1, Math.floor(limit)));
  while (K % divisor !== 0) divisor--;
  return divisor;
}
