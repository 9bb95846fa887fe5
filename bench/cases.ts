import { add } from '../accel/gpu/add.js';
import { attention } from '../accel/gpu/attention.js';
import type { Device, DeviceTensor } from '../accel/gpu/device.js';
import { embedding } from '../accel/gpu/embedding.js';
import { gelu } from '../accel/gpu/gelu.js';
import { layerNorm } from '../accel/gpu/layerNorm.js';
import { linear } from '../accel/gpu/linear.js';
import { repeatInterleave } from '../accel/gpu/repeatInterleave.js';
import { rope, ropeTables } from '../accel/gpu/rope.js';
import { softmax } from '../accel/gpu/softmax.js';
import * as reference from '../reference/index.js';
import { PRESETS } from '../src/checkpoint/config.js';
import { rows, sizeOf, tensor, type Float32Tensor } from '../reference/lib/tensor.js';
import type { LinearWeights } from '../reference/lib/weights.js';

/** An op at a size of Model_64_FLOAT, with its minimum cost. */
export interface Case {
  op: string;
  shape: string;
  flops: number;
  /** The bytes if every input is read once and the output written once. */
  bytes: number;
  reference: () => unknown;
  /** Creates the op and its inputs on a device; the result runs it. */
  gpu: (device: Device) => Promise<() => Promise<DeviceTensor>>;
}

const { nEmbed: E, dModel: C, nHead: H, vocabSize: V, ropeTheta, layerNormEps: eps } = PRESETS.model_64_float;
const D = C / H;
/** Keys in the cache while one token is decoded. */
const CACHED = 512;

function filled(...shape: number[]): Float32Tensor {
  return tensor(
    shape,
    new Float32Array(sizeOf(shape)).map((_, i) => ((i * 7919) % 1000) / 500 - 1),
  );
}

/** Cycles through enough layers to exceed the caches. */
function linearCase(op: string, T: number, K: number, N: number, count: number): Case {
  const layers: LinearWeights[] = Array.from({ length: count }, () => ({ weight: filled(N, K), bias: filled(N) }));
  const x = filled(T, K);
  let calls = 0;
  return {
    op,
    shape: `[${T}, ${K}] → ${N}`,
    flops: 2 * T * K * N,
    bytes: 4 * (K * N + N + T * (K + N)),
    reference: () => reference.linear(x, layers[calls++ % count]),
    async gpu(device) {
      const applied = await linear(device, layers);
      const input = await device.upload(x);
      return () => applied[calls++ % count](input);
    },
  };
}

/** An elementwise op: it reads `reads` tensors of its size and writes one. */
function elementwise(
  op: string,
  T: number,
  width: number,
  reads: number,
  flopsEach: number,
  run: Pick<Case, 'reference' | 'gpu'>,
): Case {
  const size = T * width;
  return { op, shape: `[${T}, ${width}]`, flops: flopsEach * size, bytes: 4 * size * (reads + 1), ...run };
}

function casesOf(T: number): Case[] {
  const [x, wide, codes] = [filled(T, C), filled(T, 4 * C), filled(T, E)];
  const norm = { weight: filled(C), bias: filled(C) };
  const [table, ids] = [filled(V, E), Array.from({ length: T }, (_, i) => (i * 7919) % V)];
  const S = T === 1 ? CACHED : T;
  const past = S - T;
  const [keys, values] = [filled(S, C), filled(S, C)];
  const cosSin = reference.ropeTables(D, ropeTheta, past, T);
  const scores = filled(T, H, S);
  return [
    elementwise('embedding', T, E, 1, 0, {
      reference: () => reference.embedding(ids, table),
      async gpu(device) {
        const apply = embedding(device, table);
        const input = await device.upload(tensor([T], Float32Array.from(ids)));
        return () => apply(input);
      },
    }),
    elementwise('repeatInterleave', T, C, E / C, 0, {
      reference: () => reference.repeatInterleave(codes, C / E),
      async gpu(device) {
        const apply = repeatInterleave(device);
        const input = await device.upload(codes);
        return () => apply(input, C / E);
      },
    }),
    elementwise('layerNorm', T, C, 1, 8, {
      reference: () => reference.layerNorm(x, norm, eps),
      async gpu(device) {
        const apply = layerNorm(device, C, eps);
        const input = await device.upload(x);
        const weights = { weight: await device.upload(norm.weight), bias: await device.upload(norm.bias) };
        return () => apply(input, weights);
      },
    }),
    linearCase('linear', T, C, C, 16),
    linearCase('linear', T, C, 4 * C, 4),
    linearCase('linear', T, 4 * C, C, 4),
    elementwise('rope', T, C, 1, 3, {
      reference: () => reference.rope(x, H, cosSin, 'half'),
      async gpu(device) {
        const apply = rope(device, H, 'half');
        const tables = await ropeTables(device, D, ropeTheta, S);
        const [cos, sin] = [await device.rows(tables.cos, past, S), await device.rows(tables.sin, past, S)];
        const input = await device.upload(x);
        return () => apply(input, { cos, sin });
      },
    }),
    {
      op: 'softmax',
      shape: `[${T}, ${H}, ${S}]`,
      flops: 4 * T * H * S,
      bytes: 8 * T * H * S,
      reference: () => reference.softmax(tensor([T * H, S], scores.data)),
      async gpu(device) {
        const apply = softmax(device);
        const input = await device.upload(scores);
        return () => apply(input, past);
      },
    },
    {
      op: 'attention',
      shape: `[${T}, ${C}], ${S} keys`,
      flops: 4 * T * S * C,
      bytes: 4 * C * (2 * S + 2 * T),
      reference: () => reference.attention(x, keys, values, H),
      async gpu(device) {
        const apply = attention(device, H, D);
        const [q, k, v] = [await device.upload(x), await device.upload(keys), await device.upload(values)];
        return () => apply(q, k, v, past);
      },
    },
    elementwise('gelu', T, 4 * C, 1, 12, {
      reference: () => reference.gelu(wide, 'none'),
      async gpu(device) {
        const apply = gelu(device, 'none');
        const input = await device.upload(wide);
        return () => apply(input);
      },
    }),
    elementwise('add', T, C, 2, 1, {
      reference: () => reference.add(x, rows(x, 0, T)),
      async gpu(device) {
        const apply = add(device);
        const input = await device.upload(x);
        return () => apply(input, input);
      },
    }),
    ...(T === 1 ? [linearCase('lmHead', 1, C, V, 1)] : []),
  ];
}

/** Creates the cases lazily, one at a time: all of them together need too much memory. */
export function* cases(): Generator<Case> {
  for (const T of [1, 128]) yield* casesOf(T);
}
