import assert from 'node:assert/strict';
import fc from 'fast-check';
import { argmax, createSampler, type SampleOptions } from '../../src/sample.js';
import { EmergentError, InputError } from '../../reference/lib/errors.js';
import { createSortingSampler } from '../support/sortingSampler.js';
import { randomLogits } from '../support/randomLogits.js';

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
    assert.equal(penalized(Float32Array.of(0.9, 0.5), [0]), 1, 'below 1, too');
    assert.equal(penalized(Float32Array.of(3, 2), [0, 0, 1]), 0, 'once, however often it was seen');
    assert.equal(penalized(Float32Array.of(3, 2), [0]), 1, 'again for the next token');
    assert.equal(penalized(Float32Array.of(3, 2), [-1, 2, 0.5]), 0, 'ids outside the vocabulary do nothing');
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

  it('refuses options out of range, greedy or not', () => {
    const bad: Record<string, unknown>[] = [
      { temperature: -1 },
      { temperature: NaN },
      { temperature: '3' },
      { topK: 1.5 },
      { topK: -1 },
      { topP: 0 },
      { topP: 1.1 },
      { topP: '0.5' },
      { repetitionPenalty: 0 },
      { repetitionPenalty: 1e-308 },
      { repetitionPenalty: 1e300 },
      { seed: 0.5 },
      { seed: null },
    ];
    for (const options of bad) {
      for (const temperature of [0, 1]) {
        assert.throws(() => createSampler({ temperature, ...options }), InputError, JSON.stringify(options));
      }
    }
    assert.throws(() => createSampler({ topP: 1.1 }), /^InputError: top-p must be .* above 0 and at most 1, got 1\.1$/);
    assert.throws(() => createSampler({ temperature: '3' as never }), /got '3'$/);
    assert.throws(() => createSampler({ repetitionPenalty: 1e-308 }), /from 1e-269 to 1e\+269, got 1e-308$/);
  });

  it('refuses unknown options by name', () => {
    assert.throws(
      () => createSampler({ temprature: 1 } as SampleOptions),
      /^InputError: unknown option 'temprature'; choose from: temperature, topK, topP, repetitionPenalty, seed$/,
    );
    for (const options of [null, 3, 'x', []]) {
      assert.throws(() => createSampler(options as never), /^InputError: options must be an object, got /);
    }
  });

  const settings: SampleOptions[] = [
    {},
    { repetitionPenalty: 2 },
    { temperature: 1 },
    { temperature: 1, topK: 2 },
    { temperature: 1, topP: 0.9 },
    { temperature: 1, topK: 4, topP: 0.5, repetitionPenalty: 2 },
  ];

  it('refuses logits that are NaN or all -Infinity, or none', () => {
    for (const options of settings) {
      const sample = createSampler(options);
      const thrown = (...values: number[]) => {
        assert.throws(() => sample(Float32Array.from(values), [0]), EmergentError);
      };
      thrown(1, NaN);
      thrown(NaN, Infinity);
      thrown(-Infinity);
      thrown(-Infinity, -Infinity, -Infinity);
      thrown();
      assert.equal(sample(Float32Array.of(-Infinity, 0), []), 1, 'and goes on after that');
    }
    assert.throws(() => createSampler()(Float32Array.of(-Infinity), []), /all of the model's logits are -Infinity$/);
    assert.throws(() => argmax(Float32Array.of(1, NaN)), /logit for token 1 is not a number/);
  });

  it('lets Infinity win, and never chooses -Infinity', () => {
    for (const options of settings) {
      assert.deepEqual(new Set(draw(Float32Array.of(0, Infinity, 1, 2, 3), options, 50)), new Set([1]));
      const finite = draw(Float32Array.of(-Infinity, 1, 1, -Infinity, 1, -Infinity), options, 200);
      for (const id of finite) assert.ok([1, 2, 4].includes(id), `${JSON.stringify(options)}: ${id}`);
    }
    const several = Float32Array.of(5, Infinity, -Infinity, Infinity, 7, Infinity);
    const counts = new Map<number, number>();
    for (const id of draw(several, { temperature: 2, seed: 1 }, 3000)) counts.set(id, (counts.get(id) ?? 0) + 1);
    assert.deepEqual([...counts.keys()].sort(), [1, 3, 5]);
    for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 5 * Math.sqrt(3000 * (1 / 3) * (2 / 3)));
    assert.deepEqual(new Set(draw(several, { temperature: 1, topK: 2, seed: 1 }, 100)), new Set([1, 3]));
    assert.equal(createSampler()(several, []), 1);
  });

  it('can hold every logit at the largest penalties and any temperature', () => {
    const max = 3.4028234663852886e38;
    const extremes = Float32Array.of(-max, max, 0, 1);
    for (const repetitionPenalty of [1e-269, 1e269]) {
      for (const temperature of [5e-324, 1, 1.7e308]) {
        const sample = createSampler({ temperature, repetitionPenalty, topP: 0.999, seed: 1 });
        for (let i = 0; i < 20; i++) assert.ok(sample(extremes, [0, 1, 2, 3]) >= 0);
      }
    }
  });
});

describe('sample, beside a sort of the whole vocabulary', () => {
  const values = fc.oneof(
    fc.float({ noNaN: true, min: -20, max: 20 }),
    fc.integer({ min: -3, max: 3 }), // ties
    fc.constantFrom(-Infinity, 0, -0, 1e-40, -1e-40, 3e38, -3e38),
  );
  const anyLogits = fc
    .array(values, { minLength: 1, maxLength: 200 })
    .filter((all) => all.some(Number.isFinite))
    .map((all) => Float32Array.from(all));
  const anyOptions = fc.record({
    temperature: fc.oneof(fc.double({ min: 0.05, max: 5, noNaN: true }), fc.constantFrom(0, 5e-324, 1e-30, 1e-3, 1e30)),
    topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 250 })),
    topP: fc.oneof(fc.constant(1), fc.double({ min: 1e-9, max: 1, noNaN: true }), fc.constantFrom(0.25, 0.5, 0.75)),
    repetitionPenalty: fc.constantFrom(1, 1.1, 0.7, 1e30),
    seed,
  });

  function assertSameDraws(scores: Float32Array, options: SampleOptions, history: number[], times: number): void {
    const sample = createSampler(options);
    const oracle = createSortingSampler(options);
    for (let i = 0; i < times; i++) assert.equal(sample(scores, history), oracle(scores, history));
  }

  it('chooses the same tokens', () => {
    fc.assert(
      fc.property(anyLogits, anyOptions, fc.array(fc.nat(220)), (scores, options, history) => {
        assertSameDraws(scores, options, history, 10);
      }),
      { numRuns: 2000 },
    );
  });

  it('chooses the same tokens when p is exactly what some tokens make up', () => {
    fc.assert(
      fc.property(anyLogits, fc.nat(200), seed, (scores, count, n) => {
        const best = Math.max(...scores);
        const weights = [...scores].sort((a, b) => b - a).map((score) => Math.exp(score - best));
        const sum = (terms: number[]) => terms.reduce((total, term) => total + term, 0);
        const topP = sum(weights.slice(0, 1 + (count % weights.length))) / sum(weights);
        // a draw from the end of the nucleus tells its last token; small weights need luck, so there are many runs
        assertSameDraws(scores, { temperature: 1, topP, seed: n }, [], 20);
      }),
      { numRuns: 1000 },
    );
  });

  it('chooses the same tokens of large vocabularies', () => {
    for (const [spread, offset] of [
      [1, 0],
      [4, -1000],
      [1e-5, 3],
      [1e10, 0],
    ]) {
      const scores = randomLogits(5000, spread, 1).map((logit) => logit + offset);
      for (const options of [{ topK: 40 }, { topK: 3000 }, { topP: 0.3 }, { topP: 0.9 }, { topK: 700, topP: 0.9 }]) {
        for (const repetitionPenalty of [1, 1.3]) {
          assertSameDraws(scores, { temperature: 0.7, repetitionPenalty, ...options }, [1, 2, 3], 20);
        }
      }
    }
  });
});
