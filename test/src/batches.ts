import assert from 'node:assert/strict';
import { BatchError } from '../../accel/errors.js';
import { forward } from '../../reference/index.js';
import { rows, type Tensor } from '../../reference/lib/tensor.js';
import { openBackend, type Backend, type Session } from '../../src/backend.js';
import { tinyModel } from '../support/arbitraries.js';
import { assertClose, assertSame, largest } from '../support/assertions.js';

const model = tinyModel();
const ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3];

/** What every backend promises of batches and forks. The reference keeps it bit for bit. */
export function batchTests(name: string, bitIdentical: boolean): void {
  let backend: Backend;
  let sessions: Session[] = [];
  before(async () => {
    backend = await openBackend(model, name);
  });
  after(() => backend.dispose());
  beforeEach(() => {
    sessions = [backend.openSession(), backend.openSession(), backend.openSession()];
  });
  afterEach(() => Promise.all(sessions.map((it) => it.dispose())));

  /** Asserts that these are the logits after the last `count` tokens of a text. */
  function scores(actual: Tensor, text: readonly number[], count = 1): void {
    const expected = rows(forward(text, model), text.length - count, text.length);
    assert.deepEqual(actual.shape, expected.shape);
    if (bitIdentical) assertSame(actual, expected);
    assertClose(actual.data, expected.data, 1e-5 * largest(expected.data));
  }

  describe('a batch', () => {
    it('advances each session by its own tokens, and sessions join and leave', async () => {
      const [a, b, c] = sessions;
      const first = await backend.forwardBatch([
        { session: a, ids: ids.slice(0, 5) },
        { session: b, ids: [7], logits: 'all' },
      ]);
      scores(first[0], ids.slice(0, 5));
      scores(first[1], [7]);
      const second = await backend.forwardBatch([
        { session: c, ids: ids.slice(0, 4), logits: 'all' },
        { session: a, ids: [9] },
        { session: b, ids: [8, 2, 6], logits: 'all' },
      ]);
      scores(second[0], ids.slice(0, 4), 4);
      scores(second[1], ids.slice(0, 6));
      scores(second[2], [7, 8, 2, 6], 3);
      scores((await backend.forwardBatch([{ session: c, ids: [5] }]))[0], ids.slice(0, 5));
      scores(await a.forward([2]), ids.slice(0, 7));
      assert.deepEqual(
        sessions.map((it) => it.length),
        [7, 4, 5],
      );
    });

    it('of nothing is nothing', async () => {
      assert.deepEqual(await backend.forwardBatch([]), []);
    });

    it('with an entry that is refused changes no session, and the error names the entry', async () => {
      const [a, b, c] = sessions;
      await a.forward(ids.slice(0, 2));
      const stranger = await openBackend(model, name);
      const foreign = stranger.openSession();
      await c.dispose();
      const refusals: [session: Session, added: number[], message: string][] = [
        [a, [1], 'its session is already in entry 0'],
        [c, [1], 'the session has been disposed'],
        [foreign, [1], 'the session belongs to another backend'],
        [b, [], 'the model needs at least one token'],
        [b, [1, 40], 'token id 40 at position 1 is outside the vocabulary of 40 (0 to 39)'],
        [b, [...ids, 1], "17 tokens exceed the model's block_size of 16"],
      ];
      for (const [session, added, fault] of refusals) {
        const batch = [
          { session: a, ids: [5] },
          { session, ids: added },
        ];
        await assert.rejects(backend.forwardBatch(batch), (error: Error) => {
          assert.ok(error instanceof BatchError);
          assert.equal(error.entry, 1);
          assert.equal(error.message, `batch entry 1: ${fault}`);
          return true;
        });
        assert.deepEqual([a.length, b.length], [2, 0]);
      }
      scores(await a.forward([4]), ids.slice(0, 3));
      a.reset(); // nothing is left pending
      await foreign.dispose();
      await stranger.dispose();
    });

    it('waits for the calls before it, and those after it wait', async () => {
      const [a, b] = sessions;
      const before = a.forward(ids.slice(0, 3));
      const batch = backend.forwardBatch([
        { session: b, ids: [7] },
        { session: a, ids: [ids[3]] },
      ]);
      assert.throws(() => b.reset(), /^InputError: reset\(\) cannot run during forward\(\)/);
      const after = a.forward([ids[4]]);
      const ended = b.dispose();
      scores(await before, ids.slice(0, 3));
      const [ofB, ofA] = await batch;
      scores(ofB, [7]);
      scores(ofA, ids.slice(0, 4));
      scores(await after, ids.slice(0, 5));
      await ended;
    });
  });

  describe('a fork', () => {
    it('continues on its own from the tokens that it shares', async () => {
      const [a] = sessions;
      await a.forward(ids.slice(0, 6));
      const b = await a.fork();
      assert.equal(b.length, 6);
      scores(await b.forward([8, 8]), [...ids.slice(0, 6), 8, 8]);
      scores(await a.forward(ids.slice(6, 9)), ids.slice(0, 9));
      scores(await b.forward([1]), [...ids.slice(0, 6), 8, 8, 1]);
      const c = await b.fork();
      const both = await backend.forwardBatch([
        { session: c, ids: [5] },
        { session: a, ids: [ids[9]] },
      ]);
      scores(both[0], [...ids.slice(0, 6), 8, 8, 1, 5]);
      scores(both[1], ids.slice(0, 10));
      await b.dispose();
      await c.dispose();
    });

    it('outlives the session, and is not touched by its reset', async () => {
      const [a] = sessions;
      await a.forward(ids.slice(0, 6));
      const b = await a.fork();
      a.reset();
      scores(await a.forward([7, 7]), [7, 7]);
      await a.dispose();
      scores(await b.forward([ids[6]]), ids.slice(0, 7));
      await b.dispose();
    });

    it('can keep only the first tokens, and takes no more than there are', async () => {
      const [a] = sessions;
      await a.forward(ids.slice(0, 6));
      const b = await a.fork(4);
      assert.equal(b.length, 4);
      scores(await b.forward([8, 8, 8]), [...ids.slice(0, 4), 8, 8, 8]);
      scores(await a.forward([ids[6]]), ids.slice(0, 7));
      const empty = await a.fork(0);
      scores(await empty.forward([7]), [7]);
      for (const length of [8, -1, 1.5]) await assert.rejects(a.fork(length), /^InputError: fork\(\) cannot keep/);
      await b.dispose();
      await empty.dispose();
    });

    it('of an empty session is empty, of a running one holds what that will hold, of a disposed one is refused', async () => {
      const [a, b] = sessions;
      const empty = await a.fork();
      scores(await empty.forward([7]), [7]);
      const running = b.forward(ids.slice(0, 3));
      const forking = b.fork();
      await running;
      assert.throws(() => b.reset(), /^InputError: reset\(\) cannot run during/);
      const fork = await forking;
      scores(await fork.forward([ids[3]]), ids.slice(0, 4));
      await a.dispose();
      await assert.rejects(a.fork(), /^InputError: the session has been disposed$/);
      await empty.dispose();
      await fork.dispose();
    });
  });
}
