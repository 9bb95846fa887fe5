import fc from 'fast-check';
import * as oracle from '../../reference/index.js';
import { rows, sizeOf, tensor, type Float32Tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights } from '../../reference/lib/weights.js';
import { noise } from '../support/arbitraries.js';

/** The ops of an accelerated path with the signatures of the reference, on host tensors. */
export interface AcceleratedOps {
  add: (a: Float32Tensor, b: Float32Tensor) => Promise<Float32Tensor>;
  embedding: (ids: readonly number[], table: Float32Tensor) => Promise<Float32Tensor>;
  repeatInterleave: (x: Float32Tensor, repeats: number) => Promise<Float32Tensor>;
  layerNorm: (x: Float32Tensor, weights: LayerNormWeights, eps: number) => Promise<Float32Tensor>;
  linear: (x: Float32Tensor, layer: LinearWeights) => Promise<Float32Tensor>;
  lmHead: (x: Float32Tensor, layer: LinearWeights) => Promise<Float32Tensor>;
  /** T tokens from position `past` on, theta 10000. */
  rope: (x: Float32Tensor, H: number, past: number, pairing: 'half' | 'interleaved') => Promise<Float32Tensor>;
  /** Rows of scores [T, H, S]; token t sees the first past + t + 1. */
  softmax: (scores: Float32Tensor, past: number) => Promise<Float32Tensor>;
  attention: (q: Float32Tensor, k: Float32Tensor, v: Float32Tensor, H: number) => Promise<Float32Tensor>;
  gelu: (x: Float32Tensor, approximate: 'none' | 'tanh') => Promise<Float32Tensor>;
}

/** Records the distance of an op from its oracle. Runs in browsers too, so it must not import from Node. */
export class Meter {
  /** The largest error as a share of its bound. */
  share = 0;
  /** That error and its bound. */
  error = 0;
  bound = 0;
  /** Elements compared. */
  compared = 0;

  /** @throws Error at the first element that differs from the expected one by more than `boundOf` allows. */
  compare(actual: Tensor, expected: Tensor, boundOf: (i: number) => number): void {
    if (String(actual.shape) !== String(expected.shape)) {
      throw new Error(`shape ${String(actual.shape)}, expected ${String(expected.shape)}`);
    }
    expected.data.forEach((value, i) => {
      const own = actual.data[i];
      const error = Math.abs(own - value);
      const bound = boundOf(i);
      this.compared++;
      if (own === value || (Number.isNaN(own) && Number.isNaN(value))) return;
      if (!(error <= bound)) throw new Error(`element ${i} is ${own}, expected ${value} within ${bound}`);
      if (error / bound > this.share) [this.share, this.error, this.bound] = [error / bound, error, bound];
    });
  }
}

/** Half the gap between 1 and the next float32. */
export const U: number = 2 ** -24;
const exact = (): number => 0;

/** Pseudo-random numbers from a seed, within `scale` of `offset`. */
export function filled(shape: readonly number[], seed: number, scale = 1, offset = 0): Float32Tensor {
  const next = noise(seed);
  return tensor(
    shape,
    new Float32Array(sizeOf(shape)).map(() => offset + scale * next()),
  );
}

export type Shapes = readonly (readonly number[])[];

/** Runs `body` over the given shapes and over `runs` random ones with dimensions up to `limits`. */
export async function overShapes(
  examples: Shapes,
  limits: readonly number[],
  body: (shape: readonly number[], seed: number) => Promise<void>,
  runs = 12,
): Promise<void> {
  const shape = fc.tuple(...limits.map((max) => fc.integer({ min: 1, max })));
  await fc.assert(
    fc.asyncProperty(shape, fc.nat(), (dimensions, seed) => body(dimensions, seed)),
    { numRuns: runs + examples.length, examples: examples.map((it, i) => [[...it], i]) },
  );
}

/** How a check packs the weights of linear layers, and the error allowed beyond rounding for one token and one output. */
export interface Packing {
  pack: (weight: Float32Tensor) => Float32Tensor;
  loss: (x: Float32Array, weight: Float32Array) => number;
}
const PLAIN: Packing = { pack: (weight) => weight, loss: () => 0 };

export async function checkLinear(
  meter: Meter,
  apply: AcceleratedOps['linear'],
  shapes: Shapes,
  { pack, loss }: Packing = PLAIN,
): Promise<void> {
  await overShapes(shapes, [9, 90, 70], async ([T, K, N], seed) => {
    const x = filled([T, K], seed, 4);
    const layer: LinearWeights = {
      weight: pack(filled([N, K], seed + 1)),
      bias: seed % 3 === 0 ? null : filled([N], seed + 2),
    };
    const weight = tensor([N, K], layer.weight.data);
    const sizes = oracle.linear(
      { ...x, data: x.data.map(Math.abs) },
      {
        weight: tensor([N, K], weight.data.map(Math.abs)),
        bias: layer.bias && tensor([N], layer.bias.data.map(Math.abs)),
      },
    );
    meter.compare(await apply(x, layer), oracle.linear(x, { ...layer, weight }), (i) => {
      const [t, n] = [Math.floor(i / N), i % N];
      const lost = loss(rows(x, t, t + 1).data, rows(weight, n, n + 1).data);
      return 16 * U * sizes.data[i] + lost;
    });
  });
}

/** One check per op, by the name of its file. A check throws if any element is out of bounds. */
export const PARITY: Readonly<Record<string, (ops: AcceleratedOps, meter: Meter) => Promise<void>>> = {
  async add(ops, meter) {
    await overShapes(
      [
        [1, 1],
        [1025, 3],
        [3, 1027],
      ],
      [9, 70],
      async (shape, seed) => {
        const [a, b] = [filled(shape, seed, 8), filled(shape, seed + 1, 8)];
        const y = await ops.add(a, b);
        const expected = oracle.add(a, b);
        meter.compare(y, expected, (i) => 2 * U * Math.abs(expected.data[i]));
      },
    );
  },

  async embedding(ops, meter) {
    await overShapes(
      [
        [1, 1, 1],
        [1025, 9, 3],
        [5, 65536, 3],
        [2, 3, 1027],
      ],
      [9, 50, 20],
      async ([T, V, E], seed) => {
        const table = filled([V, E], seed);
        const ids = Array.from({ length: T }, (_, t) => (t === 0 ? V - 1 : (seed + 7919 * t) % V));
        meter.compare(await ops.embedding(ids, table), oracle.embedding(ids, table), exact);
      },
    );
  },

  async repeatInterleave(ops, meter) {
    await overShapes(
      [
        [1, 1, 1],
        [1025, 3, 2],
        [2, 1027, 3],
        [2, 3, 1027],
      ],
      [9, 20, 20],
      async ([T, E, repeats], seed) => {
        const x = filled([T, E], seed);
        meter.compare(await ops.repeatInterleave(x, repeats), oracle.repeatInterleave(x, repeats), exact);
      },
    );
  },

  async layerNorm(ops, meter) {
    const eps = 1e-5;
    await overShapes(
      [
        [1, 1],
        [1025, 5],
        [3, 1029],
        [2, 4096],
      ],
      [9, 90],
      async ([T, C], seed) => {
        // constant rows, ordinary ones, and ones far from zero
        const x = filled([T, C], seed, [0, 3, 50][seed % 3], [2, 0, 30][seed % 3]);
        const [weight, bias] = [filled([C], seed + 1, 2), filled([C], seed + 2)];
        const expected = oracle.layerNorm(x, { weight, bias }, eps);
        meter.compare(await ops.layerNorm(x, { weight, bias }, eps), expected, (i) => {
          const row = rows(x, Math.floor(i / C), Math.floor(i / C) + 1).data;
          const mean = row.reduce((sum, value) => sum + value, 0) / C;
          const sigma = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C + eps);
          const reach = Math.max(1, row.reduce((max, value) => Math.max(max, Math.abs(value)), 0) / sigma);
          return 2e-6 * Math.abs(expected.data[i]) + 2e-6 * Math.abs(weight.data[i % C]) * reach;
        });
      },
    );
  },

  linear: (ops, meter) =>
    checkLinear(meter, ops.linear, [
      [1, 1, 1],
      [1, 1031, 1009],
      [1025, 8, 5],
      [3, 2048, 1027],
      [6, 64, 64],
      [7, 1031, 19],
      [9, 600, 24],
    ]),

  lmHead: (ops, meter) =>
    checkLinear(meter, ops.lmHead, [
      [1, 8, 65536],
      [3, 24, 4099],
    ]),

  async rope(ops, meter) {
    await overShapes(
      [
        [1, 1, 1],
        [1025, 2, 3],
        [2, 3, 513],
        [2, 1025, 1],
      ],
      [9, 4, 20],
      async ([T, H, half], seed) => {
        const [D, past] = [2 * half, seed % 5];
        const x = filled([T, H * D], seed, 8);
        for (const pairing of ['half', 'interleaved'] as const) {
          const y = await ops.rope(x, H, past, pairing);
          const cosSin = oracle.ropeTables(D, 10000, past, T);
          const sizes = { cos: cosSin.cos.map(Math.abs), sin: cosSin.sin.map((value) => -Math.abs(value)) };
          // |a cos| + |b sin|: the reference with signs chosen so that nothing cancels
          const forward = oracle.rope(tensor(x.shape, x.data.map(Math.abs)), H, sizes, pairing).data;
          const backward = oracle.rope(
            tensor(x.shape, x.data.map(Math.abs)),
            H,
            { ...sizes, sin: sizes.sin.map((value) => -value) },
            pairing,
          ).data;
          meter.compare(y, oracle.rope(x, H, cosSin, pairing), (i) => 4 * U * Math.max(forward[i], backward[i]));
        }
      },
    );
  },

  async softmax(ops, meter) {
    await overShapes(
      [
        [1, 1, 1],
        [1, 2, 1030],
        [1025, 1, 1],
        [3, 1025, 2],
      ],
      [6, 4, 40],
      async ([T, H, before], seed) => {
        const past = before - 1;
        const S = past + T + (seed % 3); // scores past the last visible position are ignored
        const scores = filled([T, H, S], seed, [1, 30, 1e4][seed % 3]);
        const y = await ops.softmax(scores, past);
        for (let t = 0; t < T; t++) {
          for (let h = 0; h < H; h++) {
            const [start, visible] = [(t * H + h) * S, past + t + 1];
            const own = y.data.subarray(start, start + S);
            const expected = oracle.softmax(tensor([1, visible], scores.data.slice(start, start + visible)));
            meter.compare(tensor([1, visible], own.slice(0, visible)), expected, (i) => 2e-5 * expected.data[i] + 1e-7);
            if (own.subarray(visible).some((value) => value !== 0)) throw new Error('a masked weight is not 0');
            const sum = own.reduce((total, value) => total + value, 0);
            if (Math.abs(sum - 1) > 1e-5) throw new Error(`the weights of row ${t}, head ${h} sum to ${sum}`);
          }
        }
      },
    );
  },

  async attention(ops, meter) {
    await overShapes(
      [
        [1, 1, 1, 1],
        [1, 2, 3, 1030],
        [1025, 1, 2, 1],
        [2, 2, 1026, 3],
        [2, 1025, 1, 3],
      ],
      [7, 4, 12, 40],
      async ([T, H, D, before], seed) => {
        const [C, past] = [H * D, before - 1];
        const S = past + T;
        const [q, k, v] = [filled([T, C], seed, 2), filled([S, C], seed + 1, 2), filled([S, C], seed + 2, 2)];
        const y = await ops.attention(q, k, v, H);
        const sizes = oracle.attention(q, k, tensor(v.shape, v.data.map(Math.abs)), H).data;
        meter.compare(y, oracle.attention(q, k, v, H), (i) => (2e-5 + 16 * U) * sizes[i] + 1e-7);
      },
    );
  },

  async gelu(ops, meter) {
    const special = [
      0, -0, 1e-30, -1e-30, 0.5, -0.5, 3, -3, 5.5, -5.5, 9, -9, 13, -13, 30, -30, 100, -100, 1e4, -1e4, 3e38, -3e38,
    ];
    for (const approximate of ['none', 'tanh'] as const) {
      const check = async (x: Float32Tensor): Promise<void> => {
        const expected = oracle.gelu(x, approximate);
        const y = await ops.gelu(x, approximate);
        meter.compare(y, expected, (i) => 4e-7 * Math.abs(expected.data[i]) + 4e-7);
      };
      await check(tensor([1, special.length], Float32Array.from(special)));
      await overShapes(
        [
          [1, 1],
          [1025, 3],
          [3, 4099],
        ],
        [9, 90],
        (shape, seed) => check(filled(shape, seed, 8)),
      );
    }
  },
};
