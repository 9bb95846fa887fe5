import assert from 'node:assert/strict';
import { keptFolder } from '../../../src/folder/keptFolder.js';
import type { Store } from '../../../src/folder/store.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { noise } from '../../support/arbitraries.js';
import { FakeHub, type Fault } from '../../support/hub.js';
import { readAll } from '../../support/hubSetup.js';

class MemoryStore implements Store {
  readonly kept = new Map<string, Blob>();
  room = Infinity;
  get = (name: string): Promise<Blob | null> => Promise.resolve(this.kept.get(name) ?? null);
  put(name: string, blob: Blob): Promise<void> {
    if (blob.size > this.room) return Promise.reject(new Error('no room'));
    this.kept.set(name, blob);
    return Promise.resolve();
  }
  delete(name: string): Promise<void> {
    this.kept.delete(name);
    return Promise.resolve();
  }
  names = (): Promise<string[]> => Promise.resolve([...this.kept.keys()]);
}

describe('kept folder', () => {
  const hub = new FakeHub();
  const next = noise(5);
  const some = (length: number): Uint8Array => Uint8Array.from({ length }, () => 128 * next());
  const file = some(100_500);
  let store: MemoryStore;
  let commit: string;
  before(() => hub.open());
  after(() => hub.close());
  beforeEach(() => {
    hub.reset();
    store = new MemoryStore();
    commit = hub.commit('org/it', { 'tokens.json': file, 'empty.json': new Uint8Array() });
  });
  const URL_END = 'tokens.json';
  const folder = (revision = 'main', options = {}) =>
    keptFolder(`${hub.url}/org/it/resolve/${revision}/`, store, { partSize: 10_000, firstWait: 0, ...options });
  const read = (options = {}) => readAll(folder('main', options), URL_END);
  /** Aborts a download after 55,000 bytes, like a page that is closed. */
  async function interrupt(): Promise<void> {
    hub.reset();
    hub.fail(URL_END, { dropAfter: 55_000, stall: true });
    const controller = new AbortController();
    const onProgress = (_: string, done: number): void => {
      if (done === 55_000) controller.abort(new Error('closed'));
    };
    await assert.rejects(read({ onProgress, signal: controller.signal }), /^Error: closed$/);
    hub.reset();
  }
  const ranges = () => hub.asked(URL_END).map(({ range }) => range);

  it('returns the bytes of the server, the first time and later', async () => {
    assert.deepEqual(await read(), Buffer.from(file));
    assert.equal(store.kept.size, 12, 'eleven parts and one entry');
    hub.seen.length = 0;
    assert.deepEqual(await read(), Buffer.from(file));
    assert.equal(hub.seen.length, 1);
    assert.deepEqual(await readAll(folder(), 'empty.json'), Buffer.alloc(0));
  });

  it('works offline, and remembers that a file does not exist', async () => {
    await read();
    assert.equal(await folder().open('nothing.json'), null);
    hub.fail('', { times: Infinity, status: 503 });
    assert.equal(await folder().open('nothing.json'), null);
    await assert.rejects(folder().open('never seen.json'), /HTTP 503, 5 times in a row$/);
    hub.reset();
    await hub.close();
    assert.deepEqual(await read(), Buffer.from(file));
    assert.equal(await folder().open('nothing.json'), null);
    await assert.rejects(folder().open('never seen.json'), /^CheckpointError: [^\n]+ cannot be reached: [^\n]+$/);
    await hub.open();
  });

  it('never requests a file of a commit twice', async () => {
    const kept = folder(commit);
    assert.deepEqual(await readAll(kept, URL_END), Buffer.from(file));
    assert.equal(await kept.open('nothing.json'), null);
    hub.seen.length = 0;
    assert.deepEqual(await readAll(kept, URL_END), Buffer.from(file));
    assert.equal(await kept.open('nothing.json'), null);
    assert.deepEqual(hub.seen, []);
  });

  it('returns the new version after the server has changed', async () => {
    await read();
    const later = some(90_000);
    hub.commit('org/it', { 'tokens.json': later });
    assert.deepEqual(await read(), Buffer.from(later));
    assert.equal(store.kept.size, 10, 'nothing of the former one is left');
    hub.commit('org/it', {});
    assert.equal(await folder().open(URL_END), null);
  });

  it('downloads again if the entry of a file is not one', async () => {
    await read();
    const [key, entry] = [...store.kept].find(([, blob]) => blob.size < 200)!;
    const whole = await entry.text();
    const { version, size } = JSON.parse(whole) as { version: string; size: number };
    const entries = [
      ...['', whole.slice(0, -1), 'null', '[]', '7', '['.repeat(100_000), '\0\0'],
      ...[
        { size },
        { version },
        { version: 7, size },
        { version, size: -1 },
        { version, size: 1.5 },
        { version, size: '9' },
      ].map((it) => JSON.stringify(it)),
    ];
    for (const text of entries) {
      store.kept.set(key, new Blob([text]));
      hub.seen.length = 0;
      assert.deepEqual(await read(), Buffer.from(file), text.slice(0, 50));
      assert.ok(ranges().length > 0, text.slice(0, 50));
      assert.equal(await store.kept.get(key)!.text(), whole, 'and replaces it');
    }
  });

  it('never mixes two versions', async () => {
    await interrupt();
    const later = some(100_500);
    hub.commit('org/it', { 'tokens.json': later });
    assert.deepEqual(await read(), Buffer.from(later));
  });

  const BREAKS: [string, Fault[]][] = [
    ['dropped connections', Array<Fault>(4).fill({ dropAfter: 25_000 })],
    ['connections without a single byte', [{ dropAfter: 0 }, { dropAfter: 0 }]],
    ['a server without range support', [{ dropAfter: 25_000 }, { noRange: true }]],
    ['HTTP 429, 500 and 503', [{ status: 429 }, { dropAfter: 3 }, { status: 500 }, { status: 503 }]],
  ];
  for (const [what, faults] of BREAKS) {
    it(`survives ${what}`, async () => {
      for (const fault of faults) hub.fail(URL_END, fault);
      assert.deepEqual(await read(), Buffer.from(file));
    });
  }

  it('resumes from the complete parts on the next visit', async () => {
    await interrupt();
    assert.deepEqual(await read(), Buffer.from(file));
    assert.deepEqual(ranges(), ['bytes=50000-']);
  });

  it('never returns a file of the wrong length', async () => {
    hub.fail(URL_END, { times: Infinity, dropAfter: 0 });
    await assert.rejects(read(), /^CheckpointError: [^\n]+ broke off after 0 bytes, 5 times in a row$/);
    hub.reset();
    hub.fail(URL_END, { times: Infinity, status: 503 });
    await assert.rejects(read(), /^CheckpointError: [^\n]+ cannot be read: HTTP 503, 5 times in a row$/);
    await interrupt();
    hub.fail(URL_END, { surplus: 7 });
    hub.fail(URL_END, {});
    assert.deepEqual(await read(), Buffer.from(file), 'a range of a longer file is another version');
  });

  it('detects truncated or missing entries in the store', async () => {
    await read();
    for (const [name, blob] of [...store.kept]) {
      store.kept.set(name, blob.slice(0, blob.size - 1));
      assert.deepEqual(await read(), Buffer.from(file), name);
    }
    for (const name of [...store.kept.keys()]) {
      store.kept.delete(name);
      assert.deepEqual(await read(), Buffer.from(file), name);
    }
  });

  it('stays in memory if the store is full', async () => {
    store.room = 5;
    assert.deepEqual(await read(), Buffer.from(file));
    assert.equal(store.kept.size, 0);
  });

  it('reports progress and obeys an abort', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = (_: string, done: number, total: number): void => {
      seen.push(done);
      assert.equal(total, file.length);
      controller.abort(new Error('enough'));
    };
    await assert.rejects(read({ onProgress, signal: controller.signal }), /^Error: enough$/);
    assert.deepEqual(await read({ onProgress }), Buffer.from(file));
    assert.equal(seen.at(-1), file.length);
  });

  it('rejects a file that the server refuses', async () => {
    hub.fail(URL_END, { status: 403 });
    await assert.rejects(
      read(),
      (error: Error) => error instanceof CheckpointError && error.message.endsWith('HTTP 403'),
    );
  });
});
