import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import fc from 'fast-check';
import { Engine } from '../../../accel/simd/engine.js';
import { KvCache } from '../../../accel/simd/kvCache.js';
import { forward } from '../../../accel/simd/model.js';
import { uploadModel, type SimdModel } from '../../../accel/simd/upload.js';
import { DTYPES } from '../../../reference/lib/compactTensor.js';
import { rows, type Float32Tensor, type Floats } from '../../../reference/lib/tensor.js';
import { noise, tinyModel } from '../../support/arbitraries.js';
import { packed, packedModel } from '../../support/packedModel.js';
import { filled } from '../parity.js';
import { simdOps } from './ops.js';

// Node 20 has relaxed SIMD behind a flag; later versions enable it
setFlagsFromString('--experimental-wasm-relaxed-simd');

const THREADS = [1, 2, 3];

/** The sizes of the chunks in which a sequence is computed; the last one is the whole sequence. */
const CHUNKS = [1, 2, 3, 5, 16, Infinity];

/** Asserts that two rows have the same bits. */
function same(actual: Floats, expected: Floats, where: string): void {
  const [own, other] = [actual, expected].map((row) => new Uint32Array(Float32Array.from(row).buffer));
  const i = own.findIndex((bits, n) => bits !== other[n]);
  assert.equal(i, -1, `${where}: element ${i} is ${actual[i]}, and ${expected[i]} for one token at a time`);
  assert.equal(own.length, other.length, where);
}

/** Every activation by name, one row for each token. */
type Rows = Map<string, Floats[]>;

/** Computes a sequence in chunks. */
async function activations(model: SimdModel, ids: readonly number[], chunk: number): Promise<Rows> {
  const cache = new KvCache(model.engine.memory, model.config);
  const found: Rows = new Map();
  const size = Math.min(chunk, ids.length);
  for (let start = 0; start < ids.length; start += size) {
    await forward(ids.slice(start, start + size), model, cache, 'all', (name, tensor) => {
      const all = found.get(name) ?? [];
      for (let t = 0; t < tensor.shape[0]; t++) all.push(rows(tensor, t, t + 1).data);
      found.set(name, all);
    });
  }
  cache.dispose();
  return found;
}

function rowsOf(tensor: Float32Tensor): Float32Array[] {
  return Array.from({ length: tensor.shape[0] }, (_, t) => rows(tensor, t, t + 1).data);
}

describe('SIMD gives a token the same bits alone and in company', () => {
  for (const relaxed of [false, true]) {
    describe(relaxed ? 'with relaxed SIMD' : 'without relaxed SIMD', () => {
      let engines: Engine[] = [];
      before(async () => {
        engines = await Promise.all(THREADS.map((threads) => Engine.open({ threads, relaxed })));
        assert.deepEqual(
          engines.map((it) => it.threads),
          THREADS,
        );
        for (const engine of engines) assert.equal(engine.adapter.includes('relaxed'), relaxed);
      });
      after(() => Promise.all(engines.map((it) => it.dispose())));

      for (const dtype of DTYPES) {
        it(`a ${dtype} linear layer`, async () => {
          const shape = fc.tuple(...[20, 150, 70].map((max) => fc.integer({ min: 1, max })));
          const examples: [[number, number, number], number][] = [
            [[5, 2051, 14], 0],
            [[16, 4096, 13], 1],
            [[7, 1031, 40], 2],
            [[2, 1025, 3], 3],
            [[390, 1030, 5], 4],
          ];
          await fc.assert(
            fc.asyncProperty(shape, fc.nat(), async ([T, K, N], seed) => {
              const x = filled([T, K], seed, 4);
              const bias = seed % 3 === 0 ? null : filled([N], seed + 2);
              const layer = packed({ weight: filled([N, K], seed + 1), bias }, dtype);
              const singly: Float32Array[] = [];
              for (let t = 0; t < T; t++) {
                const row = rows(x, t, t + 1);
                singly.push((await simdOps(engines[0]).linear({ ...row, data: row.data.slice() }, layer)).data);
              }
              for (const engine of engines) {
                const together = rowsOf(await simdOps(engine).linear(x, layer));
                together.forEach((row, t) => {
                  same(row, singly[t], `[${T}, ${K}] → ${N}, token ${t}, ${engine.threads} threads`);
                });
              }
            }),
            { numRuns: 15 + examples.length, examples },
          );
        });

        it(`every activation of ${dtype} models`, async () => {
          const shape = fc.record({
            H: fc.integer({ min: 1, max: 3 }),
            half: fc.integer({ min: 1, max: 37 }),
            V: fc.integer({ min: 1, max: 70 }),
            T: fc.integer({ min: 1, max: 20 }),
          });
          const examples: [{ H: number; half: number; V: number; T: number }, number][] = [
            [{ H: 2, half: 33, V: 67, T: 70 }, 0], // two pages of the cache
            [{ H: 3, half: 5, V: 9, T: 16 }, 1],
          ];
          await fc.assert(
            fc.asyncProperty(shape, fc.nat(), async ({ H, half, V, T }, seed) => {
              const C = 2 * half * H;
              const config = { vocabSize: V, blockSize: 128, nEmbed: C / 2, dModel: C, nLayer: 2, nHead: H };
              const conventions = {
                geluApproximate: seed % 2 === 0 ? 'none' : 'tanh',
                ropePairing: seed % 3 === 0 ? 'half' : 'interleaved',
              } as const;
              const model = packedModel(tinyModel({ ...config, ...conventions }, seed), dtype);
              const next = noise(seed);
              const ids = Array.from({ length: T }, () => Math.floor(((next() + 1) / 2) * V));
              const [one, ...others] = engines.map((engine) => uploadModel(model, engine));
              const singly = await activations(one, ids, 1);
              assert.ok(singly.has('layers.1.ffn_act') && singly.has('logits'));
              for (const uploaded of [one, ...others]) {
                for (const chunk of CHUNKS) {
                  const chunked = await activations(uploaded, ids, chunk);
                  assert.deepEqual([...chunked.keys()], [...singly.keys()]);
                  for (const [name, expected] of singly) {
                    const actual = chunked.get(name)!;
                    assert.equal(actual.length, T);
                    actual.forEach((row, t) => {
                      same(
                        row,
                        expected[t],
                        `${name}, token ${t}, chunks of ${chunk}, ${uploaded.engine.threads} threads`,
                      );
                    });
                  }
                }
              }
            }),
            { numRuns: 3 + examples.length, examples },
          );
        });
      }
    });
  }
});
