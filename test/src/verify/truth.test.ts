import assert from 'node:assert/strict';
import fc from 'fast-check';
import { forward } from '../../../reference/index.js';
import { packTensor } from '../../../reference/lib/pack.js';
import type { Trace } from '../../../reference/lib/trace.js';
import type { Model } from '../../../reference/lib/weights.js';
import type { Session } from '../../../src/backend.js';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { explain } from '../../../src/verify/explain.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { summarize } from '../../../src/verify/report.js';
import { compare } from '../../../src/verify/compare.js';
import { computeTruth, defaultTokens } from '../../../src/verify/truth.js';
import { verify } from '../../../src/verify/verify.js';
import { TINY, tinyModel } from '../../support/arbitraries.js';
import { fixture } from '../../support/golden.js';
import { stubSession } from '../../support/stubSession.js';

const TOKENS = [3, 1, 39, 7, 7, 0, 12];

/** A session whose trace sees one activation scaled, and all after it computed from that. */
function faultySession(model: Model, faulty: string): Session {
  return stubSession((ids, { trace } = {}) => {
    const observed: Trace = (name, value) => {
      const seen = name === faulty ? { ...value, data: value.data.map((x) => x * 1.001) } : value;
      trace?.(name, seen);
      return seen;
    };
    return Promise.resolve(forward(ids, model, { trace: observed }));
  });
}

describe('truth', () => {
  it('is what PyTorch float64 computes, activation by activation', async () => {
    const { model } = await loadModel(fixture('models/interleaved'));
    const stored = await readGolden(fixture('models/interleaved/truth.safetensors'));
    const { header, tensors } = computeTruth(model, stored.header.tokens, true);
    assert.equal(header.precision, 'float64');
    assert.deepEqual([...tensors.keys()].sort(), [...stored.tensors.keys()].sort());
    for (const [name, { data, shape }] of tensors) {
      assert.deepEqual(shape, stored.tensors.get(name)!.shape, name);
      assert.ok(compare(data, stored.tensors.get(name)!.data).relativeMax <= 1e-13, name);
    }
  });

  it('is near the float32 pass for any weights and tokens, but is not that pass rounded', () => {
    const ids = fc.array(fc.nat({ max: TINY.vocabSize - 1 }), { minLength: 1, maxLength: TINY.blockSize });
    fc.assert(
      fc.property(ids, fc.nat(), (tokens, seed) => {
        const model = tinyModel({}, seed);
        const logits = computeTruth(model, tokens).tensors.get('logits')!.data;
        const { relativeMax } = compare(forward(tokens, model).data, logits);
        assert.ok(relativeMax < 1e-5, `${relativeMax}`);
        assert.ok(logits.some((x) => x !== Math.fround(x)));
      }),
      { numRuns: 25 },
    );
  });

  for (const backend of ['reference', 'simd', 'gpu:cpu']) {
    it(`agrees with ${backend}`, async () => {
      const model = tinyModel();
      const report = await verify(model, computeTruth(model, TOKENS), backend);
      assert.equal(report.first, null, summarize(report, null));
    });
  }

  it('names the op of a faulty backend, and clears the weights', async () => {
    const model = tinyModel();
    for (const [name, op] of [
      ['layers.1.ffn_act', 'gelu'],
      ['layers.0.k_rot', 'rope'],
      ['logits', 'lmHead'],
    ]) {
      const truth = computeTruth(model, TOKENS);
      const report = await verify(model, truth, 'faulty', (it) => Promise.resolve(faultySession(it, name)));
      assert.deepEqual([report.first?.name, report.first?.op, report.first?.origin], [name, op, 'born here']);
      const text = summarize(report, await explain(model, truth, 'faulty'));
      assert.match(text, /explained: the reference agrees with the truth in every op, [^\n]* the backend is at fault$/);
    }
  });

  it('names the first op of other weights', async () => {
    const model = tinyModel();
    const truth = computeTruth(model, TOKENS);
    const other = tinyModel();
    other.weights.blocks[1].kProj.weight.data[5] += 0.01;
    const { first } = await verify(other, truth, 'simd');
    assert.deepEqual([first?.name, first?.op, first?.origin], ['layers.1.k', 'linear', 'born here']);
  });

  it('takes quantized weights as they are, and says so', async () => {
    const model = tinyModel();
    for (const block of model.weights.blocks) {
      for (const layer of [block.qProj, block.kProj, block.vProj, block.oProj, block.ffnUp, block.ffnDown]) {
        layer.weight = packTensor(layer.weight, 'int8');
      }
    }
    const truth = computeTruth(model, TOKENS);
    assert.equal(truth.header.producer, 'emergent-semantics reference with int8 weights');
    assert.equal((await verify(model, truth, 'reference')).first, null);
    assert.notEqual((await verify(tinyModel(), truth, 'reference')).first, null);
    const onSimd = await verify(model, truth, 'simd');
    assert.match(summarize(onSimd, await explain(model, truth, 'simd')), /rounds what enters int8 layers, to 16 bits/);
  });

  it('has default tokens that fit any model', () => {
    const size = fc.integer({ min: 1, max: 200_000 });
    fc.assert(
      fc.property(size, size, (vocabSize, blockSize) => {
        const ids = defaultTokens({ vocabSize, blockSize });
        assert.equal(ids.length, Math.min(16, blockSize));
        assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < vocabSize));
        if (vocabSize > 1000) assert.equal(new Set(ids).size, ids.length);
      }),
    );
  });
});
