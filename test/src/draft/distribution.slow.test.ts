import assert from 'node:assert/strict';
import type { ModelConfig } from '../../../reference/lib/config.js';
import type { Draft } from '../../../src/draft/draft.js';
import { LookupDraft } from '../../../src/draft/lookup.js';
import { ModelDraft } from '../../../src/draft/modelDraft.js';
import { generateIds } from '../../../src/generate.js';
import type { SampleOptions } from '../../../src/sample.js';
import { noise, TINY } from '../../support/arbitraries.js';
import { survival } from '../../support/chiSquare.js';
import { markovSession } from '../../support/markov.js';

const V = 9;
const TEXTS = 100;
const LENGTH = 1000;
const ALPHA = 1e-6;
const config: ModelConfig = { ...TINY, vocabSize: V, blockSize: 2 * LENGTH };

/** Random logits [V, V] between -1.5 and 1.5. */
function randomTable(seed: number): number[][] {
  const next = noise(seed);
  return Array.from({ length: V }, () => Array.from({ length: V }, () => 1.5 * next()));
}

const model = randomTable(1);
const cheap = { token: 0, round: 0, missed: 0 };

/** A draft of up to three tokens that never pauses. */
function eager(draft: Draft): Draft {
  const propose: Draft['propose'] = (ids, count, ...rest) => draft.propose(ids, Math.min(count, 3), ...rest);
  return { costs: cheap, expected: 1, propose };
}

/** How often each token followed each other one in 100,000 draws, and the share of drafted tokens that were kept. */
async function transitions(openDraft: () => Draft, options: SampleOptions): Promise<[number[][], number]> {
  const counts = model.map((row) => row.map(() => 0));
  let drafted = 0;
  let keptInAll = 0;
  for (let seed = 0; seed < TEXTS; seed++) {
    let last = seed % V;
    const onDraft = (proposed: number, kept: number): void => {
      drafted += proposed;
      keptInAll += kept;
    };
    const settings = { ...options, seed, maxNewTokens: LENGTH, draft: openDraft(), onDraft };
    for await (const id of generateIds(markovSession(model), config, [last], settings)) {
      counts[last][id]++;
      last = id;
    }
  }
  return [counts, keptInAll / drafted];
}

/** The undrafted distribution after each token: the softmax over the `kept` likeliest. */
function expected({ temperature = 1, topK = V }: SampleOptions): number[][] {
  return model.map((logits) => {
    const least = [...logits].sort((a, b) => b - a)[topK - 1];
    const weights = logits.map((logit) => (logit < least ? 0 : Math.exp(logit / temperature)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
}

/** The p-value of transition counts. */
function pValue(counts: number[][], shares: number[][]): number {
  let statistic = 0;
  let degrees = 0;
  for (const [from, row] of counts.entries()) {
    const total = row.reduce((sum, count) => sum + count, 0);
    degrees -= 1;
    for (const [to, count] of row.entries()) {
      const share = shares[from][to];
      if (share === 0) assert.equal(count, 0, 'nothing is drawn that top-k leaves out');
      else {
        statistic += (count - total * share) ** 2 / (total * share);
        degrees += 1;
      }
    }
  }
  return survival(statistic, degrees);
}

const fromModel = (): Draft => eager(new ModelDraft(markovSession(randomTable(2))));

describe('sampling with a draft, by chi-square over 100,000 draws', () => {
  const cases: [name: string, openDraft: () => Draft, options: SampleOptions][] = [
    ['another model', fromModel, { temperature: 0.8 }],
    ['another model, top-k', fromModel, { temperature: 1, topK: 5 }],
    ['the same model', () => eager(new ModelDraft(markovSession(model))), { temperature: 1 }],
    ['lookup', () => eager(new LookupDraft()), { temperature: 0.6 }],
  ];
  for (const [name, openDraft, options] of cases) {
    it(`keeps the distribution with ${name}`, async () => {
      const [counts, kept] = await transitions(openDraft, options);
      assert.ok(pValue(counts, expected(options)) > ALPHA);
      if (name === 'the same model') assert.equal(kept, 1);
      else assert.ok(kept > 0.1 && kept < 0.9, `both cases occur: ${kept}`);
    });
  }

  it('would notice a draft that does not draw from the distribution that it states', async () => {
    const biased: Draft = {
      ...{ costs: cheap, expected: 1 },
      propose: (_, __, choice) => {
        const q = new Float64Array(V).fill(1 / V);
        return { ids: [Math.floor(V * choice.uniform() ** 1.2)], probabilities: [q] };
      },
    };
    const [counts] = await transitions(() => biased, { temperature: 1 });
    assert.ok(pValue(counts, expected({ temperature: 1 })) < ALPHA);
  });
});
