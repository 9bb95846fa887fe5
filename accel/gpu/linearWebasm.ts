import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import { biasesOf, divisorOf, type Bank, type DeviceLinear } from './bank.js';
import type { Device, DeviceTensor, Kernel } from './device.js';
import type { Thread } from './gpujs.js';

/** Number of prompt tokens that share one pass over the weights. */
const QUAD = 4;

/** Number of products that a thread sums. */
const PART = 64;

/**
 * Linear layers on `webasm`. GPU.js's SIMD computes four neighboring outputs at once, but loads each lane separately. Of the
 * forms measured in bench/RESULTS.md, this one is fastest: K is split into parts; the body has no loop, because GPU.js
 * keeps loop counters in float32 and converts them at every use; the weights are stored in the order of the threads.
 *
 * The kernels have fixed sizes, one token or four, because GPU.js allocates a memory with a copy of the weights for each
 * size. The kernel for four tokens loads each weight once for all four. It is made when first needed: for the head, only
 * if the caller wants the logits of all positions.
 */
export function linearWebasm(device: Device, bank: Bank): DeviceLinear[] {
  const { N, K, layers } = bank;
  const part = divisorOf(K, PART);
  const parts = K / part;
  const make = (source: string, components?: 4): Kernel =>
    device.kernel(source, {
      tables: { weight: partsOf(bank, part) },
      ...(components ? { components } : {}),
      fixed: true,
      threads: true,
    });
  const one = make(oneSource(part));
  let four: Kernel | null = null;
  const constants = { integers: { parts }, tables: { bias: biasesOf(bank) } };
  const sums = device.kernel(sumKernel, constants);
  const sumsOfFour = device.kernel(sumOfFourKernel, constants);

  async function upToFour(x: DeviceTensor, layer: number): Promise<DeviceTensor> {
    const [T] = x.shape;
    if (T === 1) return sums([1, N], await one([parts, N], x, layer * parts), layer);
    four ??= make(fourSource(part), QUAD);
    const whole = T === QUAD ? x : await device.write(await device.upload(tensor([QUAD, K])), x, 0);
    return sumsOfFour([T, N], await four([parts, N, QUAD], whole, layer * parts), layer);
  }
  return layers.map(
    (_, layer) => (x) =>
      device.scope(async () => {
        const [T] = x.shape;
        if (T <= QUAD) return upToFour(x, layer);
        let y = await device.upload(tensor([T, N]));
        for (let t = 0; t < T; t += QUAD) {
          y = await device.write(y, await upToFour(await device.rows(x, t, Math.min(t + QUAD, T)), layer), t);
        }
        return y;
      }),
  );
}

/** The weights as [layers · parts, N, part], the order in which the threads read them. */
function partsOf({ N, K, layers }: Bank, part: number): Float32Tensor {
  const ordered = new Float32Array(layers.length * N * K);
  let at = 0;
  for (const { weight } of layers) {
    for (let k = 0; k < K; k += part) {
      for (let o = 0; o < N; o++, at += part) {
        ordered.set(weight.data.subarray(o * K + k, o * K + k + part), at);
      }
    }
  }
  return tensor([(layers.length * K) / part, N, part], ordered);
}

/** Element j of this thread's part of the weights, whose layer begins at `block`, and of token t's input. */
const weightAt = (j: number): string => `this.constants.weight[this.thread.y + block][this.thread.x][${j}]`;
const inputAt = (t: number, part: number, j: number): string => `x[${t}][this.thread.y * ${part} + ${j}]`;

/** One token. The sum is a balanced tree, so that few additions wait for each other. */
function oneSource(part: number): string {
  const products = Array.from({ length: part }, (_, j) => `${weightAt(j)} * ${inputAt(0, part, j)}`);
  return `function productsOfOne(x, block) { return ${treeOf(products)}; }`;
}

/** Four tokens. Their sums do not depend on each other. */
function fourSource(part: number): string {
  const sums = ['a', 'b', 'c', 'd'];
  const steps = Array.from(
    { length: part },
    (_, j) => `w = ${weightAt(j)}; ${sums.map((sum, t) => `${sum} += w * ${inputAt(t, part, j)};`).join(' ')}`,
  );
  return `function productsOfFour(x, block) {
    let a = 0; let b = 0; let c = 0; let d = 0; let w = 0;
    ${steps.join('\n')}
    return [a, b, c, d];
  }`;
}

function treeOf(terms: readonly string[]): string {
  if (terms.length === 1) return terms[0];
  const middle = terms.length >> 1;
  return `(${treeOf(terms.slice(0, middle))} + ${treeOf(terms.slice(middle))})`;
}

interface Constants {
  parts: number;
  bias: number[][];
}

function sumKernel(this: Thread<Constants>, products: number[][], layer: number): number {
  let sum = this.constants.bias[layer][this.thread.x];
  for (let p = 0; p < this.constants.parts; p++) sum += products[p][this.thread.x];
  return sum;
}

function sumOfFourKernel(this: Thread<Constants>, products: number[][][], layer: number): number {
  let sum = this.constants.bias[layer][this.thread.x];
  for (let p = 0; p < this.constants.parts; p++) sum += products[p][this.thread.x][this.thread.y];
  return sum;
}
