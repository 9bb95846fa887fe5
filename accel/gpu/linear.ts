import { sizeOf, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { LinearWeights } from '../../reference/lib/weights.js';
import { banksOf, biasesOf, divisorOf, type Bank, type DeviceLinear } from './bank.js';
import type { Device, DeviceTensor, Kernel } from './device.js';
import type { Thread } from './gpujs.js';
import { linearWebasm } from './linearWebasm.js';

/** Maximum size of a table. WebGPU guarantees only 128 MiB, but GPU.js requests the device's limit: 1 GiB or more. */
const TABLE_BYTES = 2 ** 29;

/**
 * y[t, o] = Σₖ x[t, k] · weight[o, k] + bias[o]. Uploads the weights of all layers, in the fastest layout of the backend:
 *
 * - `webgpu`, `webgl2`: [K, N], so that neighboring threads, which compute neighboring outputs, read neighboring addresses.
 *   Each thread sums a part of K, so that one token keeps enough threads busy.
 * - `webasm`: see {@link linearWebasm}.
 * - `cpu`: [N, K], unchanged.
 *
 * @returns one function for each layer, in order
 * @see reference/linear.ts
 */
export async function linear(device: Device, layers: readonly LinearWeights[]): Promise<DeviceLinear[]> {
  const { backend } = device;
  const apply = backend === 'cpu' ? linearRows : backend === 'webasm' ? linearWebasm : linearColumns;
  const functions = new Map<LinearWeights, DeviceLinear>();
  for (const bank of banksOf(layers, backend === 'cpu' ? 0 : TABLE_BYTES)) {
    const applied = await apply(device, bank);
    bank.layers.forEach((layer, i) => functions.set(layer, applied[i]));
    await device.scope(async () => {
      await applied[0](await device.upload(tensor([1, bank.K]))); // compiles and uploads
      return null;
    });
  }
  return layers.map((layer) => functions.get(layer)!);
}

/** `cpu`: one thread computes one output at a time, so it reads whole rows. */
function linearRows(device: Device, { N, K, layers }: Bank): DeviceLinear[] {
  return layers.map((layer) => {
    const products = device.kernel(rowKernel, {
      integers: { K },
      tables: { weight: layer.weight, bias: layer.bias ?? tensor([N]) },
    });
    return (x) => products([x.shape[0], N], x);
  });
}

function rowKernel(this: Thread<{ K: number; weight: number[][]; bias: number[] }>, x: number[][]): number {
  let sum = 0;
  for (let k = 0; k < this.constants.K; k++) sum += this.constants.weight[this.thread.x][k] * x[this.thread.y][k];
  return sum + this.constants.bias[this.thread.x];
}

/** Number of threads that one token should keep busy, and bounds on the number of products that one thread sums. */
const THREADS = 2 ** 16;
const PART = { min: 16, max: 256 };

/** The number of products that one thread sums: a divisor of K. */
export function partOf(K: number, N: number): number {
  return divisorOf(K, Math.min(PART.max, Math.max(PART.min, (K * N) / THREADS)));
}

/** Weights are arguments here and not constants, because each kernel would have its own copy of a constant. */
async function linearColumns(device: Device, bank: Bank): Promise<DeviceLinear[]> {
  const { N, K, layers } = bank;
  const part = partOf(K, N);
  const parts = K / part;
  const products = columnProducts(device, part);
  const sums = columnSums(device, parts);
  const weight = await device.upload(columnsOf(bank));
  const bias = await device.upload(biasesOf(bank));
  return layers.map((_, index) => {
    const apply = (x: DeviceTensor): Promise<DeviceTensor> =>
      device.scope(async () => {
        const [T] = x.shape;
        return sums([T, N], await products([T, parts, N], x, weight, index), bias, index);
      });
    return Object.assign(apply, { columns: { weight, bias, index } });
  });
}

/** [T, K / part, N] from x [T, K], the weights and the layer's index: the sums of `part` products each. */
export function columnProducts(device: Device, part: number): Kernel {
  return device.kernel(columnKernel, { integers: { part } });
}

/** [T, N] from those sums, the biases and the layer's index. */
export function columnSums(device: Device, parts: number): Kernel {
  return device.kernel(sumKernel, { integers: { parts } });
}

/** [layers, K, N] */
function columnsOf({ N, K, layers }: Bank): Float32Tensor {
  const columns = new Float32Array(sizeOf([layers.length, K, N]));
  layers.forEach(({ weight: { data } }, i) => {
    for (let o = 0; o < N; o++) {
      for (let k = 0; k < K; k++) columns[(i * K + k) * N + o] = data[o * K + k];
    }
  });
  return tensor([layers.length, K, N], columns);
}

function columnKernel(this: Thread<{ part: number }>, x: number[][], weight: number[][][], layer: number): number {
  let sum = 0;
  for (let j = 0; j < this.constants.part; j++) {
    sum +=
      weight[layer][this.thread.y * this.constants.part + j][this.thread.x] *
      x[this.thread.z][this.thread.y * this.constants.part + j];
  }
  return sum;
}

function sumKernel(this: Thread<{ parts: number }>, products: number[][][], bias: number[][], layer: number): number {
  let sum = bias[layer][this.thread.x];
  for (let p = 0; p < this.constants.parts; p++) sum += products[this.thread.y][p][this.thread.x];
  return sum;
}
