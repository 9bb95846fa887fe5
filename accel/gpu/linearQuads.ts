import { tensor, type Tensor } from '../../src/tensor.js';
import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';
import { biasesOf, divisorOf, type Bank, type DeviceLinear } from './linear.js';

/** Tokens that a pass over the weights serves. */
const QUAD = 4;

/**
 * Linear layers on `webasm`, whose SIMD gives four neighbouring outputs to one instruction but loads each lane by
 * itself. What is fast there was found by measurement (`bench/RESULTS.md`): weights in PyTorch's order; a thread for
 * each output and each part of K; a body without a loop, since GPU.js counts in float32 and converts at every use; four
 * tokens at a time, for which a weight is loaded once. Every number of tokens runs through kernels of one size, because
 * each new size would copy the weights into a memory of its own.
 */
export function linearQuads(device: Device, bank: Bank): DeviceLinear[] {
  const { N, K, layers } = bank;
  const part = divisorOf(K, N > 2 ** 14 ? 128 : 64); // for the head, the parts themselves get large
  const parts = K / part;
  const products = device.kernel(quadSource(part), {
    tables: { weight: rowsOf(bank) },
    components: QUAD,
    fixed: true,
    threads: true,
  });
  const sums = device.kernel(sumKernel, { integers: { parts }, tables: { bias: biasesOf(bank) } });

  async function quad(x: DeviceTensor, layer: number): Promise<DeviceTensor> {
    const [T] = x.shape;
    const whole = T === QUAD ? x : await device.write(await device.upload(tensor([QUAD, K])), x, 0);
    return sums([T, N], await products([parts, N, QUAD], whole, layer * N, T), layer);
  }
  return layers.map(
    (_, layer) => (x) =>
      device.scope(async () => {
        const [T] = x.shape;
        if (T <= QUAD) return quad(x, layer);
        let y = await device.upload(tensor([T, N]));
        for (let t = 0; t < T; t += QUAD) {
          y = await device.write(y, await quad(await device.rows(x, t, Math.min(t + QUAD, T)), layer), t);
        }
        return y;
      }),
  );
}

/** [layers · N, K] */
function rowsOf({ N, K, layers }: Bank): Tensor {
  const rows = new Float32Array(layers.length * N * K);
  layers.forEach(({ weight: { data } }, i) => {
    rows.set(data, i * N * K);
  });
  return tensor([layers.length * N, K], rows);
}

/**
 * The body for parts of a given length, as text: products of one part of K for one output and four tokens, or for one
 * token, whose sum is then a tree, which does not wait for each addition before the next.
 */
function quadSource(part: number): string {
  const columns = Array.from({ length: part }, (_, j) => `[this.thread.y * ${part} + ${j}]`);
  const weight = (column: string): string => `this.constants.weight[this.thread.x + row]${column}`;
  const one = treeOf(columns.map((column) => `${weight(column)} * x[0]${column}`));
  const four = columns.map(
    (column) => `w = ${weight(column)};
      a += w * x[0]${column}; b += w * x[1]${column}; c += w * x[2]${column}; d += w * x[3]${column};`,
  );
  return `function quad(x, row, T) {
    let a = 0; let b = 0; let c = 0; let d = 0; let w = 0;
    if (T == 1) { a = ${one}; } else { ${four.join('\n')} }
    return [a, b, c, d];
  }`;
}

function treeOf(terms: readonly string[]): string {
  if (terms.length === 1) return terms[0];
  const middle = terms.length >> 1;
  return `(${treeOf(terms.slice(0, middle))} + ${treeOf(terms.slice(middle))})`;
}

function sumKernel(this: Thread<{ parts: number; bias: number[][] }>, products: number[][][], layer: number): number {
  let sum = this.constants.bias[layer][this.thread.x];
  for (let p = 0; p < this.constants.parts; p++) sum += products[p][this.thread.x][this.thread.y];
  return sum;
}
