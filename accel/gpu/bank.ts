import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { LinearWeights } from '../../reference/lib/weights.js';
import type { DeviceTensor } from './device.js';

/** A layer whose weights are on the device: x [T, K] → [T, N]. */
export interface DeviceLinear {
  (x: DeviceTensor): Promise<DeviceTensor>;
  /** On GPUs, where its weights are, for the kernels of {@link fused}. */
  columns?: Columns;
}

/** A layer of a bank on a GPU. */
export interface Columns {
  weight: DeviceTensor; // [layers, K, N]
  bias: DeviceTensor; // [layers, N], zeros where a layer has none
  /** The layer's index in both. */
  index: number;
}

/** Layers of one shape, whose weights share a table, so that a few kernels serve all layers. */
export interface Bank {
  N: number;
  K: number;
  layers: readonly LinearWeights[];
}

/** Banks of four layers or more hold a multiple of four, so that q, k, v and o of a block stay together. */
const TOGETHER = 4;

/** Groups layers by shape into banks of at most `bytes`, or of one layer if it is larger. */
export function banksOf(layers: readonly LinearWeights[], bytes: number): Bank[] {
  const banks: (Bank & { layers: LinearWeights[] })[] = [];
  for (const layer of layers) {
    const [N, K] = layer.weight.shape;
    const fitting = Math.floor(bytes / (4 * N * K));
    const most = fitting < TOGETHER ? fitting : fitting - (fitting % TOGETHER);
    let bank = banks.find((it) => it.N === N && it.K === K && it.layers.length < most);
    if (!bank) {
      bank = { N, K, layers: [] };
      banks.push(bank);
    }
    bank.layers.push(layer);
  }
  return banks;
}

/** The biases of a bank, [layers, N], zeros where a layer has none. */
export function biasesOf({ N, layers }: Bank): Float32Tensor {
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
