import assert from 'node:assert/strict';
import { forward } from '../../reference/index.js';
import { openSession } from '../../src/backend.js';
import { calibrate, type Convention } from '../../src/calibrate.js';
import { InputError } from '../../src/errors.js';
import { generateIds } from '../../src/generate.js';
import { load } from '../../src/languageModel.js';
import { logitLens } from '../../src/lens.js';
import { perplexity } from '../../src/perplexity.js';
import { rows, tensor } from '../../src/tensor.js';
import type { Model } from '../../src/weights.js';
import { tinyModel } from '../support/arbitraries.js';
import { loadModel } from '../../src/checkpoint/load.js';
import { fixture, readFixture, readTruth } from '../support/golden.js';

describe('perplexity', () => {
  it('is the size of the vocabulary for a model that only guesses', async () => {
    const model = tinyModel();
    const { weight, bias } = model.weights.lmHead;
    const lmHead = { weight: tensor(weight.shape), bias: bias && tensor(bias.shape) };
    const guessing = { ...model, weights: { ...model.weights, lmHead } };
    const { perplexity: value, surprises } = await perplexity(await openSession(guessing), model.config, [1, 2, 3]);
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
    const { perplexity: value } = await perplexity(await openSession(model), model.config, tokens);
    assert.ok(Math.abs(value / expected - 1) < 1e-6, `${value}, truth ${expected}`);
  });

  it('cuts long texts into windows that know nothing of each other', async () => {
    const model = tinyModel();
    const ids = Array.from({ length: 35 }, (_, i) => (i * 7) % 40); // windows of 16, 16 and 3
    const { surprises } = await perplexity(await openSession(model), model.config, ids);
    assert.equal(surprises.length, 15 + 15 + 2);
    const last = await perplexity(await openSession(model), model.config, ids.slice(32));
    assert.deepEqual(surprises.slice(30), last.surprises);
    await assert.rejects(perplexity(await openSession(model), model.config, [1]), InputError);
  });
});

describe('calibrate', () => {
  /** Text that a model with given conventions wrote itself: nobody predicts it better. */
  async function ownText(model: Model, seeds: number): Promise<number[]> {
    const ids: number[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      const session = await openSession(model);
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
        for (const { key, sigmas } of verdicts) {
          if (key === 'ropePairing' || key === 'normPosition') assert.ok(sigmas > 4, `${key}: ${sigmas}`);
        }
        assert.equal(trials.length, 10);
        assert.ok(trials.every((trial, i) => i === 0 || trial.perplexity >= trials[i - 1].perplexity));
      }
    }
  });

  it('finds the conventions that the demo was trained with', async () => {
    const demo = await load();
    const text = ['Japan Tokyo', 'Peru Lima', 'Kenya Nairobi', 'Norway Oslo', 'Cuba Havana', 'Egypt Cairo']
      .map((pair) => pair.split(' '))
      .map(([country, capital]) => `Question: What is the capital of ${country}?\nAnswer: ${capital}</s>`)
      .join('');
    const { trials, verdicts } = await calibrate(demo.model, demo.tokenizer.encode(text));
    assert.deepEqual([trials[0].convention.ropePairing, trials[0].convention.normPosition], ['half', 'pre']);
    for (const { key, sigmas } of verdicts.slice(0, 3)) if (key !== 'geluApproximate') assert.ok(sigmas > 4);
  });
});

describe('logit lens', () => {
  it("ends in the model's own prediction, and needs all layers to get there", async () => {
    const demo = await load();
    const ids = demo.tokenizer.encode('Question: What is the capital of Japan?\nAnswer:');
    const layers = await logitLens(demo.model, ids);
    assert.equal(layers.length, demo.config.nLayer);
    const logits = forward(ids, demo.model);
    ids.forEach((_, t) => {
      const { data } = rows(logits, t, t + 1);
      const { id, probability } = layers[layers.length - 1][t];
      assert.equal(id, data.indexOf(Math.max(...data)));
      assert.ok(probability > 0 && probability <= 1);
    });
    const [early, late] = [layers[0], layers[layers.length - 1]].map((guesses) => guesses[ids.length - 1]);
    assert.equal(demo.tokenizer.token(late.id), ' To');
    assert.notEqual(early.id, late.id);
  });
});
