import assert from 'node:assert/strict';
import { openSession } from '../../src/backend.js';
import { calibrate, type Convention } from '../../src/calibrate.js';
import { generateIds } from '../../src/generate.js';
import { load } from '../../src/load.js';
import type { Model } from '../../reference/lib/weights.js';
import { tinyModel } from '../support/arbitraries.js';
import { recognizesTrained, TRAINED } from '../support/conventions.js';

describe('calibrate', () => {
  /** Text that a model with given conventions wrote itself: nobody predicts it better. */
  async function ownText(model: Model, seeds: number): Promise<number[]> {
    const ids: number[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      const session = await openSession(model, 'reference');
      const options = { maxNewTokens: model.config.blockSize - 1, temperature: 1, seed };
      ids.push(seed % model.config.vocabSize);
      for await (const id of generateIds(session, model.config, [ids[ids.length - 1]], options)) ids.push(id);
    }
    return ids;
  }

  it('recognises rotary pairing and norm placement among all, from the text of a model that has them', async () => {
    for (const ropePairing of ['half', 'interleaved'] as const) {
      for (const normPosition of ['pre', 'post'] as const) {
        const model = tinyModel({ ropePairing, normPosition });
        const text = await ownText(model, 120);
        // the model is given with the wrong conventions, as a checkpoint with default ones would be
        const mistaken = { ...model, config: { ...model.config, ropePairing: 'half', normPosition: 'pre' } as const };
        const { trials, verdicts } = await calibrate(mistaken, text);
        const best: Convention = trials[0].convention;
        assert.deepEqual([best.ropePairing, best.normPosition], [ropePairing, normPosition]);
        for (const { key, clear } of verdicts) {
          if (key === 'ropePairing' || key === 'normPosition') assert.ok(clear, key);
        }
        assert.equal(trials.length, 10);
        assert.ok(trials.every((trial, i) => i === 0 || trial.perplexity >= trials[i - 1].perplexity));
      }
    }
  });

  recognizesTrained(TRAINED.slice(0, 1)); // the others in calibrate.slow.test.ts

  it('finds the conventions that the demo was trained with', async () => {
    const demo = await load();
    const text = ['Japan Tokyo', 'Peru Lima', 'Kenya Nairobi', 'Norway Oslo', 'Cuba Havana', 'Egypt Cairo']
      .map((pair) => pair.split(' '))
      .map(([country, capital]) => `Question: What is the capital of ${country}?\nAnswer: ${capital}</s>`)
      .join('');
    const { trials, verdicts } = await calibrate(demo.model, demo.tokenizer.encode(text));
    assert.deepEqual([trials[0].convention.ropePairing, trials[0].convention.normPosition], ['half', 'pre']);
    assert.deepEqual(
      verdicts.filter(({ clear }) => clear).map(({ key }) => key),
      ['ropePairing', 'normPosition'],
    );
  });
});
