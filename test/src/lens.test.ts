import assert from 'node:assert/strict';
import countries from 'world-countries';
import { forward } from '../../reference/index.js';
import { EmergentError, InputError } from '../../reference/lib/errors.js';
import type { ModelWeights } from '../../reference/lib/weights.js';
import { load } from '../../src/load.js';
import { logitLens, nearest, positions } from '../../src/lens.js';
import { rows } from '../../reference/lib/tensor.js';
import { tinyModel } from '../support/arbitraries.js';
import { printTable } from '../support/golden.js';

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

describe('neighbors', () => {
  it('of countries are anything in the frozen table, and of one continent after the blocks', async () => {
    const demo = await load();
    const members = countries.filter(({ unMember, cca3 }) => unMember && cca3 !== 'VAT');
    const names = members.map(({ name }) => name.common);
    const continent = new Map(members.map(({ name, region }) => [name.common, region]));
    const same = (of: string, other: string) => continent.get(of) === continent.get(other);
    const pairs = names.flatMap((a) => names.filter((b) => b !== a).map((b) => same(a, b)));
    const chance = pairs.filter(Boolean).length / pairs.length;

    const layers = await positions(demo.model, names, (text) => demo.tokenizer.encode(text));
    const shares = layers.map((vectors) => {
      const hits = names.map(
        (name, i) =>
          nearest(vectors, names, i)
            .slice(0, 10)
            .filter(({ text }) => same(name, text)).length,
      );
      return hits.reduce((a, b) => a + b, 0) / (10 * names.length);
    });
    printTable([
      [
        "of a country's ten nearest, on its continent",
        'by chance',
        'table',
        ...shares.slice(1).map((_, n) => `layer ${n + 1}`),
      ],
      ['', ...[chance, ...shares].map((share) => `${(100 * share).toFixed(0)} %`)],
    ]);
    assert.ok(Math.abs(shares[0] - chance) < 0.05, 'the table knows nothing');
    assert.ok(shares[shares.length - 1] > 2 * chance, 'the blocks do, although the continent is not asked for');
  });

  it('take texts literally, and fill every {} of the carrier', async () => {
    const demo = await load();
    const carrier = 'Is {} in {}? {';
    for (const text of ['US$$', 'A$&B', "$`$'", '$1', '$<name>', '{}', 'a{}b']) {
      const encoded: string[] = [];
      await positions(
        demo.model,
        [text, 'Peru'],
        (it) => {
          encoded.push(it);
          return demo.tokenizer.encode(it);
        },
        carrier,
      );
      assert.deepEqual(encoded, [text, `Is ${text} in ${text}? {`, 'Peru', 'Is Peru in Peru? {']);
    }
  });

  it('are the other texts, nearest first', async () => {
    const demo = await load();
    const encode = (text: string) => demo.tokenizer.encode(text);
    const texts = ['Peru', 'Chad', 'Cuba', 'Oman'];
    const layers = await positions(demo.model, texts, encode);
    assert.equal(layers.length, demo.config.nLayer + 1);
    for (const vectors of layers) {
      const found = nearest(vectors, texts, 1);
      assert.deepEqual(found.map(({ text }) => text).sort(), ['Cuba', 'Oman', 'Peru']);
      assert.ok(
        found.every(({ cosine }, i) => Math.abs(cosine) <= 1 + 1e-12 && (i === 0 || cosine <= found[i - 1].cosine)),
      );
    }
    await assert.rejects(positions(demo.model, ['Peru'], encode), InputError);
    await assert.rejects(positions(demo.model, texts, encode, 'no place'), /has no \{\} for the text/);
  });
});

describe('lenses on weights that are not numbers', () => {
  const damaged: [string, (weights: ModelWeights) => Float32Array, number, RegExp, RegExp][] = [
    [
      'NaN in the table',
      (weights) => weights.embedding.data,
      NaN,
      /after layer 1, position 0/,
      /"b" in the frozen table/,
    ],
    [
      'NaN in a layer',
      (weights) => weights.blocks[1].oProj.weight.data,
      NaN,
      /after layer 2, position 0/,
      /"a" after layer 2/,
    ],
    [
      'Infinity in a layer',
      (weights) => weights.blocks[0].ffnUp.bias!.data,
      Infinity,
      /after layer 1/,
      /"a" after layer 1/,
    ],
  ];
  for (const [what, part, value, guess, vector] of damaged) {
    it(`are refused: ${what}`, async () => {
      const model = tinyModel();
      part(model.weights)[4] = value; // in the table: of token 1
      const encode = (text: string) => (text === 'b' ? [1] : text === 'a' ? [2] : [2, 3]);
      for (const [result, message] of [
        [logitLens(model, [1, 2], 'reference'), guess],
        [positions(model, ['a', 'b'], encode, '{} is', 'reference'), vector],
      ] as const) {
        await assert.rejects(result, (error: unknown) => {
          assert.ok(error instanceof EmergentError);
          assert.match(error.message, message);
          return true;
        });
      }
    });
  }

  it('are refused: NaN or nothing but -Infinity in the head; +Infinity shares the probability', async () => {
    const biased = (values: number[]) => {
      const model = tinyModel();
      values.forEach((value, id) => (model.weights.lmHead.bias!.data[id] = value));
      return logitLens(model, [1], 'reference');
    };
    await assert.rejects(biased([0, NaN]), /the logits after layer 1, position 0, give no probabilities/);
    await assert.rejects(biased(new Array<number>(40).fill(-Infinity)), /give no probabilities/);
    for (const [guess] of await biased([0, Infinity, 0, Infinity]))
      assert.deepEqual(guess, { id: 1, probability: 0.5 });
  });
});
