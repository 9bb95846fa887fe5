import assert from 'node:assert/strict';
import { openSession } from '../../src/backend.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { InputError } from '../../reference/lib/errors.js';
import { perplexity } from '../../src/perplexity.js';
import { tensor } from '../../reference/lib/tensor.js';
import { tinyModel } from '../support/arbitraries.js';
import { fixture, readFixture, readTruth } from '../support/golden.js';

describe('perplexity', () => {
  it('is the size of the vocabulary for a model that only guesses', async () => {
    const model = tinyModel();
    const { weight, bias } = model.weights.lmHead;
    const lmHead = { weight: tensor(weight.shape), bias: bias && tensor(bias.shape) };
    const guessing = { ...model, weights: { ...model.weights, lmHead } };
    const { perplexity: value, surprises } = await perplexity(
      await openSession(guessing, 'reference'),
      model.config,
      [1, 2, 3],
    );
    assert.ok(Math.abs(value - 40) < 1e-9);
    assert.equal(surprises.length, 2);
  });

  it('is that of PyTorch', async () => {
    const { model } = await loadModel(fixture('models/model_64_float'));
    const { tokens } = readFixture('models/model_64_float/inputs.json') as { tokens: number[] };
    const truth = (await readTruth('models/model_64_float/truth.safetensors')).get('logits')!;
    const V = model.config.vocabSize;
    let sum = 0;
    for (let t = 0; t + 1 < tokens.length; t++) {
      const row = truth.subarray(t * V, (t + 1) * V);
      sum += Math.log(row.reduce((total, x) => total + Math.exp(x), 0)) - row[tokens[t + 1]];
    }
    const expected = Math.exp(sum / (tokens.length - 1));
    const { perplexity: value } = await perplexity(await openSession(model, 'reference'), model.config, tokens);
    assert.ok(Math.abs(value / expected - 1) < 1e-6, `${value}, truth ${expected}`);
  });

  it('cuts long texts into windows that know nothing of each other', async () => {
    const model = tinyModel();
    const ids = Array.from({ length: 35 }, (_, i) => (i * 7) % 40); // windows of 16, 16 and 3
    const { surprises } = await perplexity(await openSession(model, 'reference'), model.config, ids);
    assert.equal(surprises.length, 15 + 15 + 2);
    const last = await perplexity(await openSession(model, 'reference'), model.config, ids.slice(32));
    assert.deepEqual(surprises.slice(30), last.surprises);
    await assert.rejects(perplexity(await openSession(model, 'reference'), model.config, [1]), InputError);
  });
});
