import assert from 'node:assert/strict';
import { openSession, type Session } from '../../src/backend.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { EmergentError, InputError } from '../../reference/lib/errors.js';
import { perplexity, surprise } from '../../src/perplexity.js';
import { tensor } from '../../reference/lib/tensor.js';
import { tinyModel } from '../support/arbitraries.js';
import { fixture, readFixture, readTruth } from '../support/golden.js';
import { stubSession } from '../support/stubSession.js';

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

  /** A session whose logits after every token are these. */
  function constantSession(logits: number[]): Session {
    return stubSession((ids) => {
      const rows = ids.flatMap(() => logits);
      return Promise.resolve(tensor([ids.length, logits.length], Float32Array.from(rows)));
    });
  }

  it('lets infinite logits share the probability, and gives -Infinity none', () => {
    const logits = Float32Array.from([1, Infinity, -Infinity, Infinity]);
    assert.equal(surprise(logits, 1), Math.log(2));
    assert.equal(surprise(logits, 0), Infinity);
    assert.equal(surprise(Float32Array.from([0, -Infinity, 0]), 2), Math.log(2));
  });

  const noNumber: [string, number[], RegExp][] = [
    ['NaN', [0, NaN, 0], /^prediction 1 of 2 gives no probabilities: are the weights damaged/],
    ['nothing but -Infinity', [-Infinity, -Infinity, -Infinity], /^prediction 1 of 2 gives no probabilities/],
    ['a token without a probability', [0, 0, -Infinity], /^prediction 2 of 2 gives the token there no probability/],
    ['a surprise whose exponential overflows', [1e4, 0, 0], /^the perplexity is too large for a number: e\^10000/],
  ];
  for (const [what, logits, message] of noNumber) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(perplexity(constantSession(logits), tinyModel().config, [0, 1, 2]), (error: unknown) => {
        assert.ok(error instanceof EmergentError);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it('refuses a model with one NaN among its weights', async () => {
    for (const part of ['embedding', 'qProj', 'lmHead'] as const) {
      const model = tinyModel();
      const { embedding, blocks, lmHead } = model.weights;
      const tensors = { embedding, qProj: blocks[0].qProj.weight, lmHead: lmHead.weight };
      tensors[part].data[5] = NaN; // of token 1
      await assert.rejects(
        perplexity(await openSession(model, 'reference'), model.config, [1, 2, 3]),
        /^EmergentError: prediction \d of 2 gives no probabilities/,
      );
    }
  });
});
