import assert from 'node:assert/strict';
import { createSampler, type SampleOptions } from '../../src/sample.js';
import { survival } from '../support/chiSquare.js';

describe('sample, by chi-square', () => {
  const DRAWS = 100_000;
  const ALPHA = 1e-6;
  const TIED = [0.3, -1, 2, 0.3, 1.5, 0.3, -0.5, 1, 2];

  /** The p-value of the sampler's draws, if the `kept` tokens have probabilities in proportion to their weights. */
  function pValue(drawn: number[], options: SampleOptions, weights: number[], kept: number[]): number {
    const counts = new Float64Array(weights.length);
    const sample = createSampler({ ...options, seed: 11 });
    const logits = Float32Array.from(drawn);
    for (let i = 0; i < DRAWS; i++) counts[sample(logits, [])]++;
    const total = kept.reduce((sum, id) => sum + weights[id], 0);
    const statistic = kept.reduce((sum, id) => {
      const expected = (DRAWS * weights[id]) / total;
      return sum + (counts[id] - expected) ** 2 / expected;
    }, 0);
    assert.equal(
      kept.reduce((sum, id) => sum + counts[id], 0),
      DRAWS,
      'nothing else is drawn',
    );
    return survival(statistic, kept.length - 1);
  }

  // by falling logit: 2 and 8, 4, 7, 0, 3 and 5, 6, 1
  const cases: [SampleOptions, number[]][] = [
    [{ temperature: 1 }, [2, 8, 4, 7, 0, 3, 5, 6, 1]],
    [{ temperature: 2 }, [2, 8, 4, 7, 0, 3, 5, 6, 1]],
    [{ temperature: 1, topK: 5 }, [2, 8, 4, 7, 0]],
    [{ temperature: 0.5, topP: 0.85 }, [2, 8, 4]],
    [{ temperature: 1.5, topK: 8, topP: 0.8 }, [2, 8, 4, 7, 0]],
  ];

  for (const [options, kept] of cases) {
    it(`draws ${JSON.stringify(options)} as the softmax says, and would notice 5 %`, () => {
      const weights = TIED.map((logit) => Math.exp(logit / options.temperature!));
      assert.ok(pValue(TIED, options, weights, kept) > ALPHA);
      // every second token by rank is 5 % likelier
      const biased = weights.map((weight, id) => (kept.indexOf(id) % 2 === 0 ? 1.05 * weight : weight));
      assert.ok(pValue(TIED, options, biased, kept) < ALPHA, 'a planted bias');
    });
  }

  it('has the tail that tables give', () => {
    // 0.05 and 0.001 at 4 and at 10 degrees of freedom, from any table
    for (const [x, degrees, p] of [
      [9.488, 4, 0.05],
      [18.467, 4, 0.001],
      [18.307, 10, 0.05],
      [29.588, 10, 0.001],
    ]) {
      assert.ok(Math.abs(survival(x, degrees) / p - 1) < 1e-3);
    }
  });
});
