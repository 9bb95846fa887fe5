import assert from 'node:assert/strict';
import { calibrate } from '../../src/calibrate.js';
import { EmergentError } from '../../reference/lib/errors.js';
import { load } from '../../src/load.js';
import { tinyModel } from '../support/arbitraries.js';
import { recognizesOwnText, recognizesTrained, TRAINED } from '../support/conventions.js';

describe('calibrate', () => {
  it('refuses a model that computes no numbers with any convention', async () => {
    const model = tinyModel();
    model.weights.lmHead.weight.data[0] = NaN;
    await assert.rejects(calibrate(model, [1, 2, 3], 'reference'), (error: unknown) => {
      assert.ok(error instanceof EmergentError);
      assert.match(error.message, /^no combination of conventions has a finite perplexity: are the weights damaged/);
      return true;
    });
  });

  it('ranks combinations that compute no numbers last', async () => {
    const model = overflowsBeforeNorm();
    const { trials, verdicts } = await calibrate(model, [1, 2, 3, 4], 'reference');
    const finite = trials.map(({ perplexity }) => Number.isFinite(perplexity));
    assert.deepEqual(
      finite,
      [...finite].sort((a, b) => Number(b) - Number(a)),
    );
    const isFinite = trials.map(({ convention }) => convention.normPosition === 'post');
    assert.deepEqual(finite, isFinite, 'only a norm after the sum keeps the residual stream in range');
    const verdict = verdicts.find(({ key }) => key === 'normPosition')!;
    assert.deepEqual([verdict.best, verdict.clear, verdict.nats], ['post', true, Infinity]);
    assert.ok(verdicts.filter(({ key }) => key !== 'normPosition').every(({ nats }) => Number.isFinite(nats)));
  });

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

/** Two layers that each add about 2e38: one sum is a float32, two are not. A norm after each sum brings it back to 1. */
function overflowsBeforeNorm(): ReturnType<typeof tinyModel> {
  const model = tinyModel();
  for (const block of model.weights.blocks) {
    block.ffnDown.weight.data.fill(0);
    block.ffnDown.bias!.data.fill(2e38);
    block.ffnDown.bias!.data[0] = 0;
  }
  return model;
}
