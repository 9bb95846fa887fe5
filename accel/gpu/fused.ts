import type { ModelConfig } from '../../reference/lib/config.js';
import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import { attentionOfOne } from './attention.js';
import { divisorOf, type Columns, type DeviceLinear } from './bank.js';
import type { Device, DeviceTensor } from './device.js';
import { geluOfSumsSource } from './gelu.js';
import type { Thread } from './gpujs.js';
import type { DeviceLayerNorm } from './layerNorm.js';
import { columnProducts, columnSums, partOf } from './linear.js';
import type { DeviceRopeTables } from './rope.js';

/** Number of groups in which a LayerNorm's sums are computed. */
const GROUPS = 32;
/** Number of parts of a sum whose result is a {@link Row}: the threads of the groups add C / GROUPS sums each. */
const ROW_PARTS = 32;

/**
 * The residual stream of one token, ready for a LayerNorm: [1, C + 2 GROUPS], x and then, for each group of elements, the mean
 * of x − x[0] and the sum of squares around it. Differences from x[0] keep their digits where the mean is far larger than
 * the spread.
 */
export type Row = DeviceTensor;

/** The ops of {@link decode}, each a composition of the reference's. Only for one token on a GPU. */
export interface FusedOps {
  /** x [1, C] as a {@link Row}. */
  row: (x: DeviceTensor) => Promise<Row>;
  /** layerNorm; linear for q, k and v, which follow each other in one bank; rope for q and k: [3, C]. */
  qkv: (x: Row, norm: DeviceLayerNorm, q: Columns, tables: DeviceRopeTables, past: number) => Promise<DeviceTensor>;
  /** attention of one token, whose q is the first row of `qkv` [3, C]: [1, C]. */
  attention: (qkv: DeviceTensor, k: DeviceTensor, v: DeviceTensor, past: number) => Promise<DeviceTensor>;
  /** residual + linear, of y [1, C]. */
  oProj: (y: DeviceTensor, layer: Columns, residual: Row) => Promise<Row>;
  /** layerNorm, linear, gelu: [1, 4C]. */
  ffnUp: (x: Row, norm: DeviceLayerNorm, layer: Columns) => Promise<DeviceTensor>;
  /** residual + linear, of y [1, 4C]. */
  ffnDown: (y: DeviceTensor, layer: Columns, residual: Row) => Promise<Row>;
  /** layerNorm, lmHead: [1, V]. */
  lmHead: (x: Row, norm: DeviceLayerNorm, layer: Columns) => Promise<DeviceTensor>;
}

/**
 * Whether these ops can compute a model: on a GPU, with norms before the sublayers, and with q, k and v of a block next to each
 * other in one bank, which only a dModel above 5,792 prevents.
 */
export function canFuse(
  { normPosition }: ModelConfig,
  blocks: readonly Record<'qProj' | 'kProj' | 'vProj', DeviceLinear>[],
): boolean {
  const adjacent = ({ columns: a }: DeviceLinear, { columns: b }: DeviceLinear): boolean =>
    a !== undefined && a.weight === b?.weight && a.index + 1 === b.index;
  return (
    normPosition === 'pre' &&
    blocks.every(({ qProj, kProj, vProj }) => adjacent(qProj, kProj) && adjacent(kProj, vProj))
  );
}

/** Makes the fused ops of a model on a GPU. */
export async function fused(device: Device, config: ModelConfig): Promise<FusedOps> {
  const { dModel: C, nHead: H, vocabSize: V } = config;
  const [D, F] = [C / H, 4 * C];
  const activate = device.kernel(geluOfSumsSource(config.geluApproximate, C / partOf(C, F)));
  const [qkvProducts, upProducts, headProducts] = [3 * C, F, V].map((N) => normProducts(device, config, N));
  const headSums = columnSums(device, C / partOf(C, V));
  const asRow = rowSums(device, C, 1);
  const nothing = await device.upload(tensor([1, C]));
  const rotated = device.kernel(ropeSumKernel, {
    integers: { D, parts: C / partOf(C, 3 * C) },
    tables: pairsOf(D, config.ropePairing),
  });

  return {
    row: (x) => asRow([1, C + 2 * GROUPS], x, nothing, nothing, 0),
    async qkv(x, { weight, bias }, q, { cos, sin }, past) {
      const parts = C / partOf(C, 3 * C);
      const y = await device.scope(async () => {
        const products = await qkvProducts([3, parts, C], x, weight, bias, q.weight, q.index);
        return rotated([3, H, D], products, q.bias, cos, sin, q.index, past);
      });
      return device.reshape(y, [3, C]);
    },
    attention: attentionOfOne(device, H, D),
    oProj: residualLinear(device, C, C),
    ffnUp: (x, { weight, bias }, layer) =>
      device.scope(async () => {
        const products = await upProducts([C / partOf(C, F), F], x, weight, bias, layer.weight, layer.index);
        return activate([1, F], products, layer.bias, layer.index);
      }),
    ffnDown: residualLinear(device, F, C),
    lmHead: (x, { weight, bias }, layer) =>
      device.scope(async () => {
        const products = await headProducts([1, C / partOf(C, V), V], x, weight, bias, layer.weight, layer.index);
        return headSums([1, V], products, layer.bias, layer.index);
      }),
  };
}

/** residual + linear, from y [1, K] to a {@link Row} of C elements. */
function residualLinear(device: Device, K: number, C: number): FusedOps['oProj'] {
  const part = divisorOf(K, Math.max(partOf(K, C), K / ROW_PARTS));
  const products = columnProducts(device, part);
  const sums = rowSums(device, C, K / part);
  return (y, { weight, bias, index }, residual) =>
    device.scope(async () =>
      sums([1, C + 2 * GROUPS], await products([K / part, C], y, weight, index), residual, bias, index),
    );
}

/** The kernel that adds the parts of a linear layer's sums, its bias and the residual. */
function rowSums(device: Device, C: number, parts: number): ReturnType<Device['kernel']> {
  return device.kernel(rowSumKernel, { integers: { ...groupsOf(C), parts } });
}

/** The kernel that normalizes x and sums the products of parts of K = C, for a layer of N outputs. */
function normProducts(
  device: Device,
  { dModel: C, layerNormEps: eps }: ModelConfig,
  N: number,
): ReturnType<Device['kernel']> {
  return device.kernel(normProductKernel, { integers: { ...groupsOf(C), part: partOf(C, N) }, reals: { eps } });
}

interface Groups {
  C: number;
  groups: number;
  /** Elements of the first `full` groups; the others have one less. */
  rounds: number;
  full: number;
}

/** Group g has the elements g, g + GROUPS, g + 2 GROUPS, … */
function groupsOf(C: number): Record<keyof Groups, number> {
  const rounds = Math.ceil(C / GROUPS);
  return { C, groups: GROUPS, rounds, full: C - (rounds - 1) * GROUPS };
}

/** For each element of a head: the index of its angle, its partner in the rotation, and the sign of the partner's sine. */
function pairsOf(D: number, pairing: ModelConfig['ropePairing']): Record<'angle' | 'partner' | 'sign', Float32Tensor> {
  const half = D / 2;
  const tableOf = (value: (d: number) => number): Float32Tensor =>
    tensor(
      [D],
      Float32Array.from({ length: D }, (_, d) => value(d)),
    );
  return pairing === 'half'
    ? {
        angle: tableOf((d) => d % half),
        partner: tableOf((d) => (d + half) % D),
        sign: tableOf((d) => (d < half ? -1 : 1)),
      }
    : {
        angle: tableOf((d) => Math.floor(d / 2)),
        partner: tableOf((d) => (d % 2 === 0 ? d + 1 : d - 1)),
        sign: tableOf((d) => (d % 2 === 0 ? -1 : 1)),
      };
}

/** The sums of a group use Welford's recurrence, so one loop is enough and nothing cancels. */
function rowSumKernel(
  this: Thread<Groups & { parts: number }>,
  products: number[][],
  residual: number[][],
  bias: number[][],
  layer: number,
): number {
  let result = 0;
  if (this.thread.x < this.constants.C) {
    let sum = bias[layer][this.thread.x];
    for (let p = 0; p < this.constants.parts; p++) sum += products[p][this.thread.x];
    result = residual[0][this.thread.x] + sum;
  }
  if (this.thread.x >= this.constants.C) {
    let group = this.thread.x - this.constants.C;
    if (group >= this.constants.groups) group = group - this.constants.groups;
    let first = bias[layer][0];
    for (let q = 0; q < this.constants.parts; q++) first += products[q][0];
    first = residual[0][0] + first;
    let count = 0.0;
    let mean = 0.0;
    let squares = 0.0;
    for (let i = 0; i < this.constants.rounds; i++) {
      const c = i * this.constants.groups + group;
      if (c < this.constants.C) {
        let value = bias[layer][c];
        for (let r = 0; r < this.constants.parts; r++) value += products[r][c];
        const deviation = residual[0][c] + value - first - mean;
        count += 1;
        mean += deviation / count;
        squares += deviation * (deviation - deviation / count);
      }
    }
    result = mean;
    if (this.thread.x >= this.constants.C + this.constants.groups) result = squares;
  }
  return result;
}

/** Every thread joins the groups' sums, as Chan, Golub and LeVeque (1979) do, rather than wait for another kernel to do it. */
function normProductKernel(
  this: Thread<Groups & { part: number; eps: number }>,
  row: number[][],
  scale: number[],
  shift: number[],
  weight: number[][][],
  layer: number,
): number {
  let mean = 0;
  for (let g = 0; g < this.constants.groups; g++) {
    let count = this.constants.rounds;
    if (g >= this.constants.full) count = count - 1;
    mean += count * row[0][this.constants.C + g];
  }
  mean = mean / this.constants.C;
  let squares = 0;
  for (let h = 0; h < this.constants.groups; h++) {
    let elements = this.constants.rounds;
    if (h >= this.constants.full) elements = elements - 1;
    const distance = row[0][this.constants.C + h] - mean;
    squares += row[0][this.constants.C + this.constants.groups + h] + elements * distance * distance;
  }
  const spread = 1 / Math.sqrt(squares / this.constants.C + this.constants.eps);
  let sum = 0;
  for (let j = 0; j < this.constants.part; j++) {
    const k = this.thread.y * this.constants.part + j;
    sum +=
      weight[layer + this.thread.z][k][this.thread.x] * ((row[0][k] - row[0][0] - mean) * spread * scale[k] + shift[k]);
  }
  return sum;
}

/** Output [3, H, D]: adds the parts of q, k and v, and rotates q and k. */
function ropeSumKernel(
  this: Thread<{ D: number; parts: number; angle: number[]; partner: number[]; sign: number[] }>,
  products: number[][][],
  bias: number[][],
  cos: number[][],
  sin: number[][],
  layer: number,
  past: number,
): number {
  const start = this.thread.y * this.constants.D;
  const angle = this.constants.angle[this.thread.x];
  const partner = this.constants.partner[this.thread.x];
  let value = bias[layer + this.thread.z][start + this.thread.x];
  for (let p = 0; p < this.constants.parts; p++) value += products[this.thread.z][p][start + this.thread.x];
  if (this.thread.z < 2) {
    let other = bias[layer + this.thread.z][start + partner];
    for (let q = 0; q < this.constants.parts; q++) other += products[this.thread.z][q][start + partner];
    value = value * cos[past][angle] + this.constants.sign[this.thread.x] * other * sin[past][angle];
  }
  return value;
}
