import assert from 'node:assert/strict';
import countries from 'world-countries';
import { forward } from '../../reference/index.js';
import { InputError } from '../../reference/lib/errors.js';
import { load } from '../../src/load.js';
import { logitLens, nearest, positions } from '../../src/lens.js';
import { rows } from '../../reference/lib/tensor.js';
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
