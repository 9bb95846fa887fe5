import * as oracle from '../../../reference/index.js';
import type { ModelConfig } from '../../../reference/lib/config.js';
import { tensor, type Float32Tensor, type Tensor } from '../../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights } from '../../../reference/lib/weights.js';
import type { Columns } from '../../../accel/gpu/bank.js';
import type { Device, DeviceTensor } from '../../../accel/gpu/device.js';
import { fused, type FusedOps } from '../../../accel/gpu/fused.js';
import type { DeviceLayerNorm } from '../../../accel/gpu/layerNorm.js';
import { linear } from '../../../accel/gpu/linear.js';
import { ropeTables } from '../../../accel/gpu/rope.js';
import { filled, overShapes as overRandomShapes, U, type Meter, type Shapes } from '../parity.js';

/** What the fused ops read of a config. */
function configOf(C: number, H: number, rest: Partial<ModelConfig> = {}): ModelConfig {
  const config = { dModel: C, nHead: H, vocabSize: 8, layerNormEps: EPS, ropePairing: 'half', geluApproximate: 'none' };
  return { ...config, ...rest } as ModelConfig;
}
const EPS = 1e-5;
const GROUPS = 32;

const abs = (x: Float32Tensor): Float32Tensor => tensor(x.shape, x.data.map(Math.abs));

/** Rows like those of a residual stream: ordinary, far from zero, constant, with one element far from the others. */
function stream(C: number, seed: number): Float32Tensor {
  const x = filled([1, C], seed, [3, 2e-2, 0, 3][seed % 4], [0, 30, 2, 0][seed % 4]);
  if (seed % 4 === 3) x.data[seed % C] = 100;
  return x;
}

function layerOf(N: number, K: number, seed: number): LinearWeights {
  return { weight: filled([N, K], seed, 2 / Math.sqrt(K)), bias: seed % 3 === 0 ? null : filled([N], seed + 1) };
}

function normOf(C: number, seed: number): LayerNormWeights {
  return { weight: filled([C], seed, 2), bias: filled([C], seed + 1) };
}

/** LayerNorm by the oracle, and the error that the parity check of layerNorm allows for each element. */
function normalized(x: Float32Tensor, norm: LayerNormWeights): { y: Float32Tensor; error: Float32Tensor } {
  const C = x.data.length;
  const y = rounded(oracle.layerNorm(x, norm, EPS));
  const mean = x.data.reduce((sum, value) => sum + value, 0) / C;
  const sigma = Math.sqrt(x.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C + EPS);
  const reach = Math.max(1, x.data.reduce((max, value) => Math.max(max, Math.abs(value)), 0) / sigma);
  const error = y.data.map((value, i) => 2e-6 * Math.abs(value) + 2e-6 * Math.abs(norm.weight.data[i]) * reach);
  return { y, error: tensor(x.shape, error) };
}

/** A linear layer by the oracle, and its error for inputs of a given error: 16 roundings of the sum of sizes, and theirs. */
function applied(
  x: Float32Tensor,
  error: Float32Tensor,
  layer: LinearWeights,
): { y: Float32Tensor; error: Float32Array } {
  const sizes = oracle.linear(abs(x), { weight: abs(layer.weight), bias: layer.bias && abs(layer.bias) });
  const passed = oracle.linear(error, { weight: abs(layer.weight), bias: null });
  return {
    y: rounded(oracle.linear(x, layer)),
    error: Float32Array.from(sizes.data, (size, i) => 16 * U * size + passed.data[i]),
  };
}

/** The oracle's float32 result, whose type allows float64. */
const rounded = ({ shape, data }: Tensor): Float32Tensor => tensor(shape, Float32Array.from(data));

const none = (x: Float32Tensor): Float32Tensor => tensor(x.shape);

/** Reads what `body` computes and frees everything else. */
async function result(device: Device, body: () => Promise<DeviceTensor>): Promise<Float32Tensor> {
  let y: Float32Tensor | null = null;
  await device.scope(async () => {
    y = await device.read(await body());
    return null;
  });
  return y!;
}

/** Uploads layers between others, so that a wrong index shows, and returns the place of the first. */
async function bankOf(device: Device, layers: readonly LinearWeights[]): Promise<Columns> {
  const other = { weight: filled(layers[0].weight.shape, 99), bias: filled([layers[0].weight.shape[0]], 98) };
  const [, { columns }] = await linear(device, [other, ...layers, other]);
  return columns!;
}

async function uploaded(device: Device, { weight, bias }: LayerNormWeights): Promise<DeviceLayerNorm> {
  return { weight: await device.upload(weight), bias: await device.upload(bias!) };
}

/** Six random shapes, because every shape compiles its kernels again. */
function overShapes(
  examples: Shapes,
  limits: readonly number[],
  body: (shape: readonly number[], seed: number) => Promise<void>,
): Promise<void> {
  return overRandomShapes(examples, limits, body, 6);
}

/** Checks the groups of a row: its elements are what the device computed, with an error of at most `error` each. */
function checkGroups(row: Float32Tensor, C: number, error: number): void {
  for (let g = 0; g < Math.min(GROUPS, C); g++) {
    const group = Array.from({ length: Math.ceil((C - g) / GROUPS) }, (_, i) => row.data[i * GROUPS + g] - row.data[0]);
    const n = group.length;
    const mean = group.reduce((sum, value) => sum + value, 0) / n;
    const squares = group.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const off = 2 * error + 16 * U * Math.max(...group.map(Math.abs));
    const [ownMean, ownSquares] = [row.data[C + g], row.data[C + GROUPS + g]];
    if (!(Math.abs(ownMean - mean) <= off)) throw new Error(`group ${g}: mean ${ownMean}, expected ${mean}`);
    const allowed = 16 * U * squares + 2 * off * Math.sqrt(n * squares) + n * off * off;
    if (!(Math.abs(ownSquares - squares) <= allowed))
      throw new Error(`group ${g}: squares ${ownSquares}, expected ${squares}`);
  }
}

/** One check for each fused op: the same composition of the reference's ops is its oracle. Runs in browsers, too. */
export const FUSED: Readonly<Record<keyof FusedOps, (device: Device, meter: Meter) => Promise<void>>> = {
  async row(device, meter) {
    await overShapes([[1], [31], [32], [33], [1031]], [200], async ([C], seed) => {
      const x = stream(C, seed);
      const y = await result(device, async () => (await fused(device, configOf(C, 1))).row(await device.upload(x)));
      meter.compare(tensor([1, C], y.data.slice(0, C)), x, () => 0);
      checkGroups(y, C, 0);
    });
  },

  async qkv(device, meter) {
    const shapes = [
      [1, 1, 1],
      [5, 1, 165],
      [2, 67, 3],
    ];
    await overShapes(shapes, [5, 4, 20], async ([before, H, half], seed) => {
      const [past, D, C] = [before - 1, 2 * half, 2 * half * H];
      const layers = [1, 2, 3].map((n) => layerOf(C, C, seed + 10 * n));
      const norm = normOf(C, seed + 3);
      const x = stream(C, seed);
      const pairing = seed % 2 === 0 ? 'half' : 'interleaved';
      const y = await result(device, async () => {
        const ops = await fused(device, configOf(C, H, { ropePairing: pairing }));
        const tables = await ropeTables(device, D, 10000, past + 3);
        const place = await bankOf(device, layers);
        return ops.qkv(await ops.row(await device.upload(x)), await uploaded(device, norm), place, tables, past);
      });
      const { y: normed, error } = normalized(x, norm);
      const cosSin = oracle.ropeTables(D, 10000, past, 1);
      layers.forEach((layer, n) => {
        const own = tensor([1, C], y.data.slice(n * C, (n + 1) * C));
        const { y: straight, error: bounds } = applied(normed, error, layer);
        const expected = n < 2 ? oracle.rope(straight, H, cosSin, pairing) : straight;
        meter.compare(own, expected, (i) => {
          const start = i - (i % D); // the rotation mixes two elements of a head
          const head = bounds.subarray(start, start + D);
          return n < 2
            ? 2 * Math.max(...head) + 4 * U * Math.max(...straight.data.subarray(start, start + D).map(Math.abs))
            : bounds[i];
        });
      });
    });
  },

  async attention(device, meter) {
    const shapes = [
      [1, 1, 1],
      [2, 3, 1030],
      [2, 1026, 3],
      [1025, 1, 3],
    ];
    await overShapes(shapes, [4, 12, 40], async ([H, D, S], seed) => {
      const C = H * D;
      const [qkv, k, v] = [filled([3, C], seed, 2), filled([S + 2, C], seed + 1, 2), filled([S + 2, C], seed + 2, 2)];
      const y = await result(device, async () =>
        (await fused(device, configOf(C, H))).attention(
          await device.upload(qkv),
          await device.upload(k),
          await device.upload(v),
          S - 1,
        ),
      );
      const first = ({ data }: Float32Tensor, T: number): Float32Tensor => tensor([T, C], data.slice(0, T * C));
      const sizes = oracle.attention(first(qkv, 1), first(k, S), abs(first(v, S)), H).data;
      const expected = oracle.attention(first(qkv, 1), first(k, S), first(v, S), H);
      meter.compare(y, expected, (i) => (2e-5 + 16 * U) * sizes[i] + 1e-7); // as attention alone
    });
  },

  oProj: (device, meter) => checkResidual(device, meter, 'oProj', 1),
  ffnDown: (device, meter) => checkResidual(device, meter, 'ffnDown', 4),

  async ffnUp(device, meter) {
    await overShapes([[1], [32], [331]], [90], async ([C], seed) => {
      const [layer, norm, x] = [layerOf(4 * C, C, seed), normOf(C, seed + 3), stream(C, seed)];
      for (const approximate of ['none', 'tanh'] as const) {
        const y = await result(device, async () => {
          const ops = await fused(device, configOf(C, 1, { geluApproximate: approximate }));
          const place = await bankOf(device, [layer]);
          return ops.ffnUp(await ops.row(await device.upload(x)), await uploaded(device, norm), place);
        });
        const { y: normed, error } = normalized(x, norm);
        const { y: raised, error: bounds } = applied(normed, error, layer);
        const expected = oracle.gelu(raised, approximate);
        // the slope of GELU is below 1.13
        meter.compare(y, expected, (i) => 1.13 * bounds[i] + 4e-7 * Math.abs(expected.data[i]) + 4e-7);
      }
    });
  },

  async lmHead(device, meter) {
    const shapes = [
      [8, 65536],
      [1031, 19],
      [24, 4099],
    ];
    await overShapes(shapes, [90, 90], async ([C, V], seed) => {
      const [layer, norm, x] = [layerOf(V, C, seed), normOf(C, seed + 3), stream(C, seed)];
      const y = await result(device, async () => {
        const ops = await fused(device, configOf(C, 1, { vocabSize: V }));
        const place = await bankOf(device, [layer]);
        return ops.lmHead(await ops.row(await device.upload(x)), await uploaded(device, norm), place);
      });
      const { y: normed, error } = normalized(x, norm);
      const { y: expected, error: bounds } = applied(normed, error, layer);
      meter.compare(y, expected, (i) => bounds[i]);
    });
  },
};

async function checkResidual(device: Device, meter: Meter, op: 'oProj' | 'ffnDown', factor: number): Promise<void> {
  await overShapes([[1], [32], [331]], [90], async ([C], seed) => {
    const K = factor * C;
    const [layer, y, residual] = [layerOf(C, K, seed), filled([1, K], seed + 5, 4), stream(C, seed)];
    const row = await result(device, async () => {
      const ops = await fused(device, configOf(C, 1));
      const place = await bankOf(device, [layer]);
      return ops[op](await device.upload(y), place, await ops.row(await device.upload(residual)));
    });
    const { y: straight, error } = applied(y, none(y), layer);
    const expected = oracle.add(residual, straight);
    const bounds = error.map((value, i) => value + 2 * U * Math.abs(expected.data[i]));
    meter.compare(tensor([1, C], row.data.slice(0, C)), expected, (i) => bounds[i]);
    checkGroups(row, C, Math.max(...bounds));
  });
}
