import assert from 'node:assert/strict';
import { calibrate } from '../../src/calibrate.js';
import { load } from '../../src/load.js';
import { recognizesOwnText, recognizesTrained, TRAINED } from '../support/conventions.js';

describe('calibrate', () => {
  recognizesOwnText([['interleaved', 'post']]); // the others in calibrate.slow.test.ts
  recognizesTrained(TRAINED.slice(0, 1));

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
