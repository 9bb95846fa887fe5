import assert from 'node:assert/strict';
import { DeviceError } from '../../accel/errors.js';
import { forward } from '../../reference/index.js';
import { InputError } from '../../reference/lib/errors.js';
import { openSession } from '../../src/backend.js';
import { DRAFT_NAMES } from '../../src/draft/open.js';
import { calibrate } from '../../src/calibrate.js';
import { askPrompt, LanguageModel, type GenerateTextOptions } from '../../src/languageModel.js';
import { logitLens, positions } from '../../src/lens.js';
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

  it('advances several sessions at once, each as it would alone', async () => {
    const texts = ['Question: What is the', 'The capital of'].map((text) => demo.tokenizer.encode(text));
    const sessions = [await demo.openSession('simd:2'), await demo.openSession('simd:2')];
    const batch = sessions.map((session, i) => ({ session, ids: texts[i] }));
    const scores = await demo.forwardBatch(batch, 'simd:2');
    for (const [i, session] of sessions.entries()) {
      session.reset();
      assert.deepEqual(scores[i], await session.forward(texts[i]));
    }
    await assert.rejects(
      demo.forwardBatch(batch, 'simd:1'),
      /^BatchError: batch entry 0: .* belongs to another backend$/,
    );
    for (const session of sessions) await session.dispose();
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

  it('disposes of its session however it ends', async () => {
    const model = new LanguageModel(demo.model, demo.tokenizer, demo.report, 'reference');
    const open = new Set<object>();
    const openAny = model.openSession.bind(model);
    model.openSession = async (backend) => {
      const session = await openAny(backend);
      open.add(session);
      const dispose = session.dispose.bind(session);
      session.dispose = () => {
        open.delete(session);
        return dispose();
      };
      return session;
    };
    let opened = 0;
    const generate = (options: GenerateTextOptions) => model.generate('Question:', { maxNewTokens: 3, ...options });
    for await (const piece of generate({})) opened = Math.max(opened, piece.length > 0 ? open.size : 0);
    assert.deepEqual([opened, open.size], [1, 0], 'at the end');
    for await (const piece of generate({})) if (piece !== '') break;
    assert.equal(open.size, 0, 'when nobody wants more');
    const failing = () => {
      throw new Error('full');
    };
    await assert.rejects(generate({ onToken: failing }).next(), /^Error: full$/);
    assert.equal(open.size, 0, 'after an error');
    await assert.rejects(generate({ signal: AbortSignal.abort(new Error('no')) }).next(), /^Error: no$/);
    assert.equal(open.size, 0, 'after an abort');
    await model.dispose();
  });

  it('ends with the text that was held back', async () => {
    const { tokenizer } = demo;
    const decode = (ids: number[]) => `${tokenizer.decode(ids)}\ufffd`; // the last character lacks bytes
    const cut = Object.assign(Object.create(tokenizer) as Tokenizer, {
      eosIds: tokenizer.eosIds,
      encode: (text: string) => tokenizer.encode(text),
      decode,
    });
    const model = new LanguageModel(demo.model, cut, demo.report, demo.backend);
    const ids: number[] = [];
    let text = '';
    const options = { maxNewTokens: 4, ignoreEos: true, onToken: (id: number) => ids.push(id) };
    for await (const piece of model.generate('Question:', options)) text += piece;
    assert.equal(text, decode(ids));
    await model.dispose();
  });

  it('gives the same greedy text with every draft, and says how much was drafted and kept', async () => {
    const options = { ignoreEos: true, maxNewTokens: 80, backend: 'simd:2' };
    const expected = await pieces('Question: What is the', options);
    for (const draft of DRAFT_NAMES) {
      let drafted = 0;
      let kept = 0;
      const onDraft = (n: number, agreed: number): void => {
        drafted += n;
        kept += agreed;
      };
      assert.deepEqual(await pieces('Question: What is the', { ...options, draft, onDraft }), expected, draft);
      assert.equal(drafted > 0, draft !== 'off', draft);
      if (draft !== 'off' && draft !== 'int4')
        assert.ok(kept > 0 && kept <= drafted, `${draft}: ${kept} of ${drafted}`);
    }
    assert.ok((await demo.prepareDraft('int4', 'simd:2')) < (await demo.prepareDraft('int8', 'simd:2')));
  });

  it('drafts nothing if auto meets sampling or GPU.js, and refuses a draft by name on GPU.js or of no fewer bits', async () => {
    const onDraft = (): void => assert.fail('drafted');
    const sampled = { temperature: 1, seed: 3, maxNewTokens: 30, onDraft };
    assert.deepEqual(await pieces('Question:', { ...sampled, draft: 'auto' }), await pieces('Question:', sampled));
    const onGpu = { backend: 'gpu:cpu', maxNewTokens: 2, onDraft };
    assert.deepEqual(await pieces('Question:', { ...onGpu, draft: 'auto' }), await pieces('Question:', onGpu));
    await assert.rejects(
      pieces('Question:', { ...onGpu, draft: 'int8' }),
      /^InputError: drafting needs the backend simd/,
    );
    await assert.rejects(
      pieces('x', { draft: 'more' as never }),
      /^InputError: draft must be one of off, .*, got 'more'$/,
    );
    const small = await load(undefined, { dtype: 'int8', backend: 'simd:1' });
    await assert.rejects(
      small.prepareDraft('int8'),
      /^InputError: a draft of int8 needs a model of more bits, but this one is int8$/,
    );
    await small.dispose();
    await assert.rejects(small.prepareDraft('int4'), /disposed/);
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

  it('aborts with the reason of the signal', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    await assert.rejects(
      pieces('Question:', { signal: abort.signal, onToken: () => abort.abort(reason) }),
      (error: unknown) => error === reason,
    );
  });

  describe('after dispose()', () => {
    for (const backend of ['reference', 'simd']) {
      it(`neither generates nor opens sessions, on ${backend}`, async () => {
        const model = await load(undefined, { backend });
        await model.generate('Hi', { maxNewTokens: 1 }).next();
        await model.dispose();
        await model.dispose();
        await assert.rejects(model.generate('Hi').next(), isDisposed);
        await assert.rejects(model.openSession(), isDisposed);
        await assert.rejects(model.openSession('reference'), isDisposed);
        await assert.rejects(model.forwardBatch([]), isDisposed);
      });

      it(`a running generation ends with an error, on ${backend}`, async () => {
        const model = await load(undefined, { backend });
        const ids: number[] = [];
        await assert.rejects(
          async () => {
            const options = { ignoreEos: true, maxNewTokens: 1000, onToken: (id: number) => ids.push(id) };
            for await (const piece of model.generate('Question:', options)) {
              assert.ok(piece.length > 0);
              if (ids.length >= 3) await model.dispose();
            }
          },
          (error: unknown) => error instanceof InputError || error instanceof DeviceError,
        );
        assert.ok(ids.length < 10, 'at its next step');
      });
    }

    it('a generation that was opening its backend ends with an error', async () => {
      const model = await load(undefined, { backend: 'simd' });
      const first = model.generate('Hi').next();
      await model.dispose();
      await assert.rejects(first, (error: unknown) => error instanceof InputError || error instanceof DeviceError);
    });

    it('also if a backend could not be opened', async () => {
      const model = await load();
      await assert.rejects(model.openSession('toaster'), InputError);
      const refused = assert.rejects(model.openSession('gpu:none'));
      await model.dispose();
      await refused;
    });

    function isDisposed(error: unknown): boolean {
      assert.ok(error instanceof InputError);
      assert.equal(error.message, 'the model has been disposed');
      return true;
    }
  });

  // What TypeScript would not let pass, and plain JavaScript does.
  const wrong: [string, (model: LanguageModel) => Promise<unknown>, RegExp][] = [
    [
      'a misspelled option',
      (m) => m.generate('Hi', { temprature: 1 } as object).next(),
      /^unknown option 'temprature'; choose from: .*ignoreEos.*temperature/,
    ],
    [
      'an option of generateIds',
      (m) => m.generate('Hi', { stopIds: [1] } as object).next(),
      /^unknown option 'stopIds'/,
    ],
    [
      'an option in another style',
      (m) => m.generate('Hi', { max_new_tokens: 1 } as object).next(),
      /^unknown option 'max_new_tokens'/,
    ],
    ['options that are none', (m) => m.generate('Hi', 3 as never).next(), /^options must be an object, got 3$/],
    [
      'a number in quotes',
      (m) => m.generate('Hi', { maxNewTokens: '3' as never }).next(),
      /^the number of new tokens must be .*, got '3'$/,
    ],
    [
      'a callback that is none',
      (m) => m.generate('Hi', { onToken: 'x' as never }).next(),
      /^onToken must be a function, got 'x'$/,
    ],
    [
      'a prompt that is none',
      (m) => m.generate({ prompt: 'Hi' } as never).next(),
      /^the prompt must be a string or a list of token ids, got an object$/,
    ],
    [
      'a prompt that is missing',
      (m) => m.generate(undefined as never).next(),
      /^the prompt must be .*, got undefined$/,
    ],
    [
      'options for openSession',
      (m) => m.openSession({ backend: 'simd' } as never),
      /^the backend must be a name such as 'simd', got an object$/,
    ],
    [
      'a misspelled option of load',
      () => load(undefined, { dtpye: 'int8' } as object),
      /^unknown option 'dtpye'; choose from: .*dtype/,
    ],
    [
      'options as the first argument of load',
      () => load({ backend: 'simd' } as never),
      /^the model must be a folder or an id on the Hub, got an object$/,
    ],
    [
      'a model for logits',
      (m) => Promise.resolve().then(() => forward([1], m as never)),
      /^expected a Model; this object has one: pass its \.model$/,
    ],
    [
      'a model for a session',
      (m) => openSession(m as never, 'reference'),
      /^expected a Model; this object has one: pass its \.model$/,
    ],
    ['a model for calibrate', (m) => calibrate(m as never, [1, 2]), /pass its \.model$/],
    ['a model for logitLens', (m) => logitLens(m as never, [1]), /pass its \.model$/],
    ['a model for positions', (m) => positions(m as never, ['a', 'b'], () => [1]), /pass its \.model$/],
    [
      'no model at all',
      () => Promise.resolve().then(() => forward([1], undefined as never)),
      /^expected a Model; pass \{ config, weights \}$/,
    ],
    [
      'weights without a config',
      () => Promise.resolve().then(() => forward([1], { weights: {} } as never)),
      /^expected a Model; pass/,
    ],
  ];
  for (const [what, call, message] of wrong) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(call(demo), (error: unknown) => {
        assert.ok(error instanceof InputError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
