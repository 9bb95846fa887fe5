import assert from 'node:assert/strict';
import fc from 'fast-check';
import { argmax, createSampler, type SampleOptions } from '../../src/sample.js';
import { EmergentError, InputError } from '../../reference/lib/errors.js';

const logits = fc.float32Array({ minLength: 1, maxLength: 30, noNaN: true, min: -20, max: 20 });
const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });

function draw(scores: Float32Array, options: SampleOptions, times: number): number[] {
  const sample = createSampler(options);
  return Array.from({ length: times }, () => sample(scores, []));
}

describe('sample', () => {
  it('is greedy by default: the first of the largest', () => {
    fc.assert(
      fc.property(logits, (scores) => {
        assert.equal(createSampler()(scores, []), scores.indexOf(Math.max(...scores)));
      }),
    );
    assert.equal(argmax(Float32Array.of(1, 3, 3)), 1);
  });

  it('gives the same choices for the same seed, and others for others', () => {
    fc.assert(
      fc.property(logits, seed, (scores, n) => {
        const options = { temperature: 1, seed: n };
        assert.deepEqual(draw(scores, options, 10), draw(scores, options, 10));
      }),
    );
    const flat = new Float32Array(1000);
    const firsts = new Set(Array.from({ length: 20 }, (_, n) => draw(flat, { temperature: 1, seed: n }, 1)[0]));
    assert.ok(firsts.size > 15);
  });

  it('draws these tokens on every machine', () => {
    const scores = Float32Array.from({ length: 50 }, (_, i) => Math.fround((i % 7) / 3));
    // A record, so that a change of generator or order does not go unnoticed: it would change everybody's texts.
    assert.deepEqual(draw(scores, { temperature: 0.9, seed: 42 }, 8), [48, 41, 41, 17, 48, 48, 36, 22]);
  });

  it('follows the softmax of the logits', () => {
    const scores = Float32Array.of(0, Math.log(2), Math.log(5));
    const counts = [0, 0, 0];
    for (const id of draw(scores, { temperature: 1, seed: 1 }, 20000)) counts[id]++;
    [1 / 8, 2 / 8, 5 / 8].forEach((p, id) => {
      assert.ok(Math.abs(counts[id] / 20000 - p) < 4 * Math.sqrt((p * (1 - p)) / 20000), String(counts));
    });
  });

  it('keeps to the k likeliest', () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 30 }), seed, (scores, k, n) => {
        const kept = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k);
        for (const id of draw(scores, { temperature: 3, topK: k, seed: n }, 10)) assert.ok(kept.includes(id));
      }),
    );
    assert.equal(new Set(draw(new Float32Array(10), { temperature: 1, topK: 1, seed: 3 }, 50)).size, 1);
  });

  it('keeps to the fewest tokens that make up p', () => {
    const scores = Float32Array.from([0.5, 0.25, 0.15, 0.1], Math.log);
    const seen = (topP: number) => [...new Set(draw(scores, { temperature: 1, topP, seed: 5 }, 2000))].sort();
    assert.deepEqual(seen(0.4), [0]);
    assert.deepEqual(seen(0.7), [0, 1]);
    assert.deepEqual(seen(0.8), [0, 1, 2]);
    assert.deepEqual(seen(1), [0, 1, 2, 3]);
    const half = draw(new Float32Array(2), { temperature: 1, topP: 0.5, seed: 5 }, 100);
    assert.deepEqual([...new Set(half)], [0], 'exactly p is enough');
  });

  it('is greedy as the temperature falls', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: -20, max: 20 }), { minLength: 1 }), seed, (values, n) => {
        const scores = Float32Array.from(values);
        assert.equal(draw(scores, { temperature: 1e-3, seed: n }, 1)[0], argmax(scores));
      }),
    );
  });

  it('makes tokens less likely that were seen, whatever the sign of their logits', () => {
    const penalized = createSampler({ repetitionPenalty: 2 });
    assert.equal(penalized(Float32Array.of(3, 2), [0]), 1);
    assert.equal(penalized(Float32Array.of(-2, -3), [0]), 1);
    assert.equal(penalized(Float32Array.of(3, 2), [0, 0, 1]), 0, 'once, however often it was seen');
    assert.equal(createSampler()(Float32Array.of(3, 2), [0]), 0);
  });

  it('changes neither logits nor history', () => {
    const scores = Float32Array.of(1, 2, 3);
    const history = [1, 2];
    createSampler({ temperature: 1, topK: 2, topP: 0.9, repetitionPenalty: 1.5, seed: 1 })(scores, history);
    assert.deepEqual(
      [[...scores], history],
      [
        [1, 2, 3],
        [1, 2],
      ],
    );
  });

  it('refuses options out of range and logits that are not numbers', () => {
    const bad: SampleOptions[] = [
      { temperature: -1 },
      { temperature: NaN },
      { topK: 1.5 },
      { topK: -1 },
      { topP: 0 },
      { topP: 1.1 },
      { repetitionPenalty: 0 },
      { seed: 0.5 },
    ];
    for (const options of bad) assert.throws(() => createSampler(options), InputError, JSON.stringify(options));
    assert.throws(() => createSampler({ topP: 1.1 }), /top-p must be a number above 0 and at most 1, got 1\.1/);
    assert.throws(() => argmax(Float32Array.of(1, NaN)), EmergentError);
    assert.equal(draw(Float32Array.of(-Infinity, 0), { temperature: 1, seed: 1 }, 1)[0], 1);
  });
});
