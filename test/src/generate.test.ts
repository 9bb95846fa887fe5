import assert from 'node:assert/strict';
import { openSession, type Session } from '../../src/backend.js';
import { generateIds, type GenerateOptions } from '../../src/generate.js';
import { argmax } from '../../src/sample.js';
import { forward } from '../../reference/index.js';
import { InputError } from '../../reference/lib/errors.js';
import { tinyModel } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

const model = tinyModel();
const { blockSize } = model.config;

async function collect(prompt: number[], options: GenerateOptions): Promise<number[]> {
  const session = await openSession(model, 'reference');
  const ids: number[] = [];
  for await (const id of generateIds(session, model.config, prompt, options)) ids.push(id);
  await session.dispose();
  return ids;
}

/** What the original does: the whole pass over the last block_size tokens for every new one. */
function original(prompt: number[], count: number): number[] {
  const ids = [...prompt];
  for (let n = 0; n < count; n++) ids.push(argmax(forward(ids.slice(-blockSize), model, { logits: 'last' }).data));
  return ids.slice(prompt.length);
}

describe('generate', () => {
  it('chooses what whole passes choose, past block_size too', async () => {
    for (const prompt of [[1], [5, 6, 7], Array.from({ length: 30 }, (_, i) => i)]) {
      assert.deepEqual(await collect(prompt, { maxNewTokens: 40 }), original(prompt, 40));
    }
  });

  it('stops at a stop token, which it still yields', async () => {
    const free = await collect([1], { maxNewTokens: 20 });
    const stop = free[4];
    const stopped = await collect([1], { maxNewTokens: 20, stopIds: [stop] });
    assert.deepEqual(stopped, free.slice(0, free.indexOf(stop) + 1));
  });

  it('makes as many tokens as it is told', async () => {
    assert.deepEqual(await collect([1], { maxNewTokens: 0 }), []);
    assert.equal((await collect([1], { maxNewTokens: 3 })).length, 3);
    assert.equal((await collect([1], {})).length, 128);
  });

  it('gives the same text for the same seed', async () => {
    const options = { maxNewTokens: 30, temperature: 1, topK: 10, seed: 3 };
    assert.deepEqual(await collect([1, 2], options), await collect([1, 2], options));
    assert.notDeepEqual(await collect([1, 2], options), await collect([1, 2], { ...options, seed: 4 }));
  });

  it("throws the signal's reason when it is aborted, before the prompt and between tokens", async () => {
    const reason = new Error('enough');
    await assert.rejects(collect([1], { signal: AbortSignal.abort(reason) }), reason);
    await assert.rejects(collect([1], { signal: AbortSignal.abort(reason), maxNewTokens: 0 }), reason);
    const abort = new AbortController();
    const session = await openSession(model, 'reference');
    const ids: number[] = [];
    const aborted = async () => {
      for await (const id of generateIds(session, model.config, [1], { signal: abort.signal })) {
        ids.push(id);
        if (ids.length === 3) abort.abort();
      }
    };
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.equal(ids.length, 3);
    assertSame(
      await session.forward([2]),
      await afterReset(session, [1, ...ids.slice(0, 2), 2]),
      'the session lives on',
    );
    await session.dispose();
  });

  it('throws when the abort comes while the session computes', async () => {
    const abort = new AbortController();
    const session = await openSession(model, 'reference');
    const forward = session.forward.bind(session);
    session.forward = (...args) => {
      abort.abort();
      return forward(...args);
    };
    await assert.rejects(generateIds(session, model.config, [1], { signal: abort.signal }).next(), {
      name: 'AbortError',
    });
    await session.dispose();
  });

  it('passes every token of the prompt to the session once, in chunks', async () => {
    const session = await openSession(model, 'reference');
    for (const chunk of [1, 3, 4, 12, 100]) {
      const passed: number[][] = [];
      const chunked: Session = Object.create(session, {
        chunk: { value: chunk },
        length: { get: () => session.length },
        forward: {
          value: (ids: number[]) => {
            passed.push(ids);
            return session.forward(ids);
          },
        },
        reset: { value: () => session.reset() },
      }) as Session;
      const prompt = Array.from({ length: 12 }, (_, i) => (7 * i) % 40);
      const { value } = await generateIds(chunked, model.config, prompt, { maxNewTokens: 1 }).next();
      assert.deepEqual(passed.flat(), prompt);
      assert.deepEqual(
        passed.map(({ length }) => length).slice(0, -1),
        new Array(Math.ceil(12 / chunk) - 1).fill(chunk),
      );
      assert.deepEqual([value], original(prompt, 1));
    }
    await session.dispose();
  });

  it('aborts a long prompt between two chunks', async () => {
    const abort = new AbortController();
    const session = await openSession(model, 'reference');
    const prompt = Array.from({ length: blockSize }, () => 1);
    let chunks = 0;
    const chunked: Session = Object.create(session, {
      chunk: { value: 2 },
      forward: {
        value: (ids: number[]) => {
          chunks++;
          if (chunks === 2) {
            setImmediate(() => {
              abort.abort();
            });
          }
          return session.forward(ids);
        },
      },
      reset: {
        value: () => {
          session.reset();
        },
      },
    }) as Session;
    await assert.rejects(generateIds(chunked, model.config, prompt, { signal: abort.signal }).next(), {
      name: 'AbortError',
    });
    assert.equal(chunks, 2);
    await session.dispose();
  });

  it('finishes if the abort comes after the last token', async () => {
    for (const options of [{ maxNewTokens: 3 }, { stopIds: [(await collect([1], { maxNewTokens: 3 }))[2]] }]) {
      const abort = new AbortController();
      const session = await openSession(model, 'reference');
      const generator = generateIds(session, model.config, [1], { ...options, signal: abort.signal });
      const expected = await collect([1], options);
      for (const id of expected) assert.deepEqual(await generator.next(), { value: id, done: false });
      abort.abort();
      assert.deepEqual(await generator.next(), { value: undefined, done: true });
      await session.dispose();
    }
  });

  it('lets timers run between tokens, so that an abort can come at all', async () => {
    const abort = new AbortController();
    let count = 0;
    setTimeout(() => {
      abort.abort();
    });
    const session = await openSession(model, 'reference');
    const endless = async () => {
      for await (const id of generateIds(session, model.config, [1], { signal: abort.signal, maxNewTokens: 1e6 })) {
        assert.ok(id >= 0);
        if (++count === 1000) return;
      }
    };
    await assert.rejects(endless, { name: 'AbortError' });
    await session.dispose();
  });

  it('refuses an empty prompt and options out of range', async () => {
    await assert.rejects(collect([], {}), /the prompt is empty/);
    await assert.rejects(collect([1], { maxNewTokens: -1 }), InputError);
    await assert.rejects(collect([1], { maxNewTokens: 1.5 }), InputError);
    await assert.rejects(collect([1], { temperature: -1 }), InputError);
    await assert.rejects(collect([1], { maxNewTokens: '3' as never }), /the number of new tokens must .*, got '3'$/);
    await assert.rejects(
      collect([1], { temprature: 1 } as GenerateOptions),
      /^InputError: unknown option 'temprature'; choose from: maxNewTokens, stopIds, signal, draft, onDraft, temperature, /,
    );
    await assert.rejects(collect([99], {}), /token id 99/);
  });
});

async function afterReset(session: Session, ids: number[]) {
  session.reset();
  return session.forward(ids);
}
