import assert from 'node:assert/strict';
import { mersenne } from 'pure-rand/generator/mersenne';
import { affineCodes, randomAffineMap, rankOverGf2 } from '../../../src/codes/affine.js';
import { describeTable } from '../../../src/codes/describeTable.js';
import { findDuplicates } from '../../../src/codes/duplicates.js';
import { CODE_KINDS, makeCodes, type CodesOptions } from '../../../src/codes/makeCodes.js';
import { principalCodes } from '../../../src/codes/principal.js';
import { openSafetensors } from '../../../src/checkpoint/safetensors.js';
import { fixture } from '../../support/golden.js';

async function tableOf(options: CodesOptions): Promise<Float32Array> {
  return (await makeCodes(options)).table.data;
}

describe('makeCodes', () => {
  it('gives different codes, the same for the same seed, others for another', async () => {
    for (const kind of CODE_KINDS) {
      const options = { kind, vocabSize: 300, nEmbed: 9, seed: 3 };
      const table = await tableOf(options);
      assert.equal(new Set(Array.from({ length: 300 }, (_, v) => table.subarray(9 * v, 9 * v + 9).join())).size, 300);
      assert.deepEqual(await tableOf(options), table);
      if (kind !== 'binary') assert.notDeepEqual(await tableOf({ ...options, seed: 4 }), table);
    }
  });

  it('binary codes are the index, lowest bit first', async () => {
    const table = await tableOf({ kind: 'binary', vocabSize: 40, nEmbed: 7 });
    for (let t = 0; t < 40; t++) {
      const text = [...table.subarray(7 * t, 7 * t + 7)].reverse().join('');
      assert.equal(parseInt(text, 2), t);
    }
  });

  it('random bits use every code where there are just enough', async () => {
    const table = await tableOf({ kind: 'bit', vocabSize: 256, nEmbed: 8 });
    const codes = Array.from({ length: 256 }, (_, v) => parseInt(table.subarray(8 * v, 8 * v + 8).join(''), 2));
    assert.deepEqual(
      codes.toSorted((a, b) => a - b),
      [...codes.keys()],
    );
    assert.notDeepEqual(codes, [...codes.keys()]);
  });

  it('affine codes are affine: a ⊕ b ⊕ c is coded as the sum of their codes', async () => {
    const table = await tableOf({ kind: 'affine', vocabSize: 64, nEmbed: 6 });
    for (const [a, b, c] of [
      [1, 2, 4],
      [63, 17, 5],
      [0, 9, 33],
    ]) {
      for (let e = 0; e < 6; e++) {
        const sum = [a, b, c].reduce((bit, t) => bit ^ table[6 * t + e], 0);
        assert.equal(table[6 * (a ^ b ^ c) + e], sum);
      }
    }
  });

  it('floats have length 1', async () => {
    const table = await tableOf({ kind: 'float', vocabSize: 500, nEmbed: 16 });
    for (let v = 0; v < 500; v++) {
      const square = table.subarray(16 * v, 16 * v + 16).reduce((sum, x) => sum + x * x, 0);
      assert.ok(Math.abs(square - 1) < 1e-6);
    }
  });

  it('refuses too few bits with the arithmetic, too few components, and bad options', async () => {
    const few = { vocabSize: 300, nEmbed: 8 };
    for (const kind of CODE_KINDS) {
      await assert.rejects(makeCodes({ kind, ...few }), {
        name: 'InputError',
        message: '8 bits make 2^8 = 256 different codes, fewer than the 300 tokens; at least 9 bits are needed',
      });
    }
    await assert.rejects(makeCodes({ kind: 'float', vocabSize: 8, nEmbed: 8 }), /only \d principal components/);
    await assert.rejects(
      makeCodes({ kind: 'glyph' as 'bit', ...few }),
      /kind must be one of binary, bit, float, affine/,
    );
    await assert.rejects(makeCodes({ kind: 'bit', vocabSize: 0, nEmbed: 8 }), /vocab size must be an integer/);
  });
});

describe('affine maps', () => {
  it('the rank over GF(2) differs from the rank over the reals', () => {
    // The sum of the rows is even: 0 over GF(2). The real determinant is 2.
    assert.equal(rankOverGf2(Uint8Array.from([1, 1, 0, 0, 1, 1, 1, 0, 1]), 3, 3), 2);
    assert.equal(rankOverGf2(Uint8Array.from([0, 1, 1, 0]), 2, 2), 2);
  });

  it('have independent columns, whatever the seed', () => {
    for (let seed = 0; seed < 50; seed++) {
      const map = randomAffineMap(16, 4, mersenne(seed));
      const codes = affineCodes(map, 16);
      assert.equal(new Set(Array.from({ length: 16 }, (_, t) => codes.subarray(4 * t, 4 * t + 4).join())).size, 16);
    }
  });
});

describe('principalCodes', () => {
  it("equals numpy's SVD up to the sign of each component", async () => {
    const inputs = await openSafetensors(fixture('codes/inputs.safetensors'));
    const truths = await openSafetensors(fixture('codes/truth.safetensors'));
    for (const name of inputs.tensors.keys()) {
      const { data: bits, shape } = await inputs.readFloat32(name);
      const {
        data: truth,
        shape: [V, E],
      } = await truths.readFloat64(name);
      assert.equal(shape[0], V);
      const ours = principalCodes(Uint8Array.from(bits), V, E);
      for (let e = 0; e < E; e++) {
        const sign = Math.sign(ours[e]) * Math.sign(truth[e]);
        for (let v = 0; v < V; v++) {
          // Half a unit of float32 below 1 is 3e-8.
          const error = Math.abs(ours[v * E + e] - sign * truth[v * E + e]);
          assert.ok(error <= 6e-8, `${name} [${v}, ${e}]: ${error}`);
        }
      }
    }
    await inputs.close();
    await truths.close();
  });
});

describe('describeTable', () => {
  const ids = (count: number): number[] => Array.from({ length: count }, (_, v) => v);

  it('tells the kinds of tables apart', async () => {
    const seen: Record<string, string> = {};
    for (const kind of CODE_KINDS) {
      const report = describeTable(await tableOf({ kind, vocabSize: 200, nEmbed: 12 }), ids(200), 200, 1e-6);
      seen[kind] = `${report.kind}, unit norm: ${report.unitNorm}, rank ${report.rank}, frozen: ${report.looksFrozen}`;
      assert.equal(report.duplicates, 0);
      assert.equal(report.rankIsBound, report.rank < 12 && 200 > 12 + 1024);
    }
    // The rank is that over the reals, and is numpy's for the affine table, too: over GF(2) it would be 8 or 9.
    assert.deepEqual(seen, {
      binary: 'index, unit norm: false, rank 8, frozen: true',
      bit: 'bits, unit norm: false, rank 12, frozen: true',
      float: 'floats, unit norm: true, rank 12, frozen: true',
      affine: 'affine, unit norm: false, rank 12, frozen: true',
    });
  });

  it('counts duplicates, and finds dependent columns and trained tables', () => {
    const random = mersenne(5);
    const x = Float32Array.from({ length: 100 * 6 }, () => random.next() / 2 ** 31);
    for (let v = 0; v < 100; v++) x[6 * v + 5] = x[6 * v] - x[6 * v + 1];
    x.copyWithin(6 * 70, 6 * 20, 6 * 21);
    const report = describeTable(x, ids(100), 100, 1e-6);
    assert.deepEqual([report.kind, report.rank, report.duplicates, report.looksFrozen], ['floats', 5, 1, false]);
    assert.deepEqual(findDuplicates(x, 100, 6).first, [20, 70]);
  });

  it('reports NaN instead of judging by it', () => {
    assert.equal(describeTable(Float32Array.of(1, NaN), [0], 1, 1e-6).kind, 'not finite');
  });
});
