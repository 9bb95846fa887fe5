import assert from 'node:assert/strict';
import { InputError } from '../../reference/lib/errors.js';
import { askPrompt, LanguageModel, type GenerateTextOptions } from '../../src/languageModel.js';
import { load } from '../../src/load.js';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.js';

describe('languageModel', () => {
  let demo: LanguageModel;
  before(async () => {
    demo = await load();
  });

  async function pieces(prompt: string | number[], options: GenerateTextOptions = {}): Promise<string[]> {
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

  it('takes a prompt as ids and tokenizes a text only once', async () => {
    const prompt = askPrompt('What is the capital of Japan?');
    const { tokenizer } = demo;
    const encoded: string[] = [];
    const counting = Object.assign(Object.create(tokenizer) as Tokenizer, {
      eosIds: tokenizer.eosIds,
      encode: (text: string) => {
        encoded.push(text);
        return tokenizer.encode(text);
      },
      decode: (ids: number[]) => tokenizer.decode(ids),
    });
    const model = new LanguageModel(demo.model, counting, demo.report, demo.backend);
    let text = '';
    for await (const piece of model.generate(prompt)) text += piece;
    assert.equal(encoded.filter((it) => it === prompt).length, 1);
    assert.equal((await pieces(tokenizer.encode(prompt))).join(''), text);
    await model.dispose();
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
