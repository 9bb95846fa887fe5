import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import countries from 'world-countries';
import { openSession } from '../../src/backend.js';
import { generateIds } from '../../src/generate.js';
import { askPrompt, type LanguageModel } from '../../src/languageModel.js';
import { demoFolder, load } from '../../src/load.js';
import { activationNames } from '../../reference/lib/trace.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { verify } from '../../src/verify/verify.js';
import { fixture, manifest, printTable, readFixture, readTruth, relativeDistance } from '../support/golden.js';

describe('demo model', () => {
  let demo: LanguageModel;
  const { prompts } = readFixture('demo/inputs.json') as { prompts: { text: string; tokens: number[] }[] };

  before(async () => {
    demo = await load();
  });

  it('has the weights that the golden files were made from', () => {
    const bytes = readFileSync(join(demoFolder(), 'model.safetensors'));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.demo.weights_sha256);
  });

  it('tokenizes like the Python library', () => {
    for (const { text, tokens } of prompts) assert.deepEqual(demo.tokenizer.encode(text), tokens);
  });

  it('computes logits closer to the truth than PyTorch float32', async () => {
    const truth = await readTruth('demo/truth.safetensors');
    const float32 = await readTruth('demo/float32.safetensors');
    const rows = [['relative L2 to float64', 'reference', 'PyTorch float32']];
    const session = await openSession(demo.model, 'reference');
    for (const [n, { text, tokens }] of prompts.entries()) {
      session.reset();
      const key = `prompt${n}`;
      const { data } = await session.forward(tokens, { logits: n === 0 ? 'all' : 'last' });
      const [ours, pytorch] = [data, float32.get(key)!].map((x) => relativeDistance(x, truth.get(key)!));
      rows.push([JSON.stringify(text), ours.toExponential(2), pytorch.toExponential(2)]);
      assert.ok(ours < pytorch, text);
    }
    printTable(rows);
  });

  it('keeps every activation within its bound', async () => {
    const golden = await readGolden(fixture('demo/activations/truth.safetensors'));
    const { first, rows } = await verify(demo.model, golden, 'reference');
    assert.equal(first, null);
    assert.equal(rows.length, activationNames(demo.config, true).length);
  });

  it('generates the same 40 greedy tokens as PyTorch', async () => {
    const expected = readFixture('demo/greedy.json') as { tokens: number[]; smallest_margin: number }[];
    const session = await openSession(demo.model, 'reference');
    for (const [n, { tokens }] of prompts.entries()) {
      assert.ok(expected[n].smallest_margin > 1e-3, 'a near tie would let rounding decide the token');
      const chosen: number[] = [];
      for await (const id of generateIds(session, demo.config, tokens, { maxNewTokens: 40 })) chosen.push(id);
      assert.deepEqual(chosen, expected[n].tokens);
    }
  });

  it("knows at least 95 % of the capitals of the UN's 193 members", async () => {
    // The package counts Vatican City, an observer, among the members.
    const members = countries.filter(({ unMember, cca3 }) => unMember && cca3 !== 'VAT');
    assert.equal(members.length, 193);
    for (const question of ['What is the capital of %?', 'Name the capital of %.']) {
      const wrong: string[] = [];
      for (const { name, capital } of members) {
        let answer = '';
        for await (const piece of demo.generate(askPrompt(question.replace('%', name.common)))) answer += piece;
        // the demo spells U+02BB, as in Nukuʻalofa, with an ASCII apostrophe
        if (answer.trim() !== capital[0].replaceAll('\u02bb', "'")) wrong.push(`${name.common}: ${answer.trim()}`);
      }
      const share = 1 - wrong.length / members.length;
      const trained = question.startsWith('What') ? '' : ' (a phrasing it was never trained on)';
      console.log(`      "${question}"${trained}: ${(100 * share).toFixed(1)} %, wrong: ${wrong.join('; ') || 'none'}`);
      if (trained === '') assert.ok(share >= 0.95);
    }
  });
});
