import assert from 'node:assert/strict';
import { InputError } from '../../reference/lib/errors.js';
import { askPrompt, type GenerateTextOptions, type LanguageModel } from '../../src/languageModel.js';
import { load } from '../../src/load.js';

describe('languageModel', () => {
  let demo: LanguageModel;
  before(async () => {
    demo = await load();
  });

  async function pieces(prompt: string, options: GenerateTextOptions = {}): Promise<string[]> {
    const all: string[] = [];
    for await (const piece of demo.generate(prompt, options)) all.push(piece);
    return all;
  }

  it('streams an answer and stops at </s>', async () => {
    const ids: number[] = [];
    const streamed = await pieces(askPrompt('What is the capital of Japan?'), { onToken: (id) => ids.push(id) });
    assert.equal(streamed.join(''), ' Tokyo');
    assert.ok(streamed.length > 1, 'piece by piece');
    assert.equal(ids.at(-1), demo.tokenizer.eosId);
  });

  it('runs past </s> if told to', async () => {
    const text = (await pieces(askPrompt('What is the capital of Japan?'), { ignoreEos: true, maxNewTokens: 30 })).join(
      '',
    );
    assert.ok(text.startsWith(' TokyoQuestion:'), text);
  });

  it('can answer two people at once', async () => {
    const [a, b] = await Promise.all(
      ['Kenya', 'Peru'].map((name) => pieces(askPrompt(`What is the capital of ${name}?`))),
    );
    assert.deepEqual([a.join(''), b.join('')], [' Nairobi', ' Lima']);
  });

  it('refuses an empty prompt', async () => {
    await assert.rejects(pieces(''), InputError);
  });
});
