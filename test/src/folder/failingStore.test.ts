import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteSource } from '../../../src/folder/byteSource.js';
import { exists } from '../../../src/folder/hub/cache.js';
import { keptFolder } from '../../../src/folder/keptFolder.js';
import { openStore, type Store } from '../../../src/folder/store.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { noise } from '../../support/arbitraries.js';
import { FakeHub } from '../../support/hub.js';
import { readAll } from '../../support/hubSetup.js';

const FILE = 'tokens.json';

/** What a browser rejects with. */
function refusal(): Promise<never> {
  return Promise.reject(new DOMException('The request is not allowed', 'InvalidStateError'));
}

/** A store over files, whose Blobs fail like a browser's once their file is gone. */
class FileStore implements Store {
  readonly #folder: string;
  constructor(folder: string) {
    this.#folder = folder;
  }
  /** The names of what is kept: an entry has no hyphen in its name, a part has. */
  async names(): Promise<string[]> {
    return readdir(this.#folder);
  }
  async get(name: string): Promise<Blob | null> {
    const path = join(this.#folder, name);
    return (await exists(path)) ? openAsBlob(path) : null;
  }
  async put(name: string, blob: Blob): Promise<void> {
    await writeFile(join(this.#folder, name), Buffer.from(await blob.arrayBuffer()));
  }
  async delete(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true });
  }
}

describe('a store that fails', () => {
  const hub = new FakeHub();
  const next = noise(6);
  const some = (length: number): Uint8Array => Uint8Array.from({ length }, () => 128 * next());
  const bytes = some(100_500);
  let store: FileStore;
  let place: string;
  before(() => hub.open());
  after(() => hub.close());
  beforeEach(async () => {
    hub.reset();
    place = await mkdtemp(join(tmpdir(), 'emergent-store-'));
    store = new FileStore(place);
    hub.commit('org/it', { [FILE]: bytes });
  });
  afterEach(() => rm(place, { recursive: true }));
  const folder = (revision = 'main', options = {}) =>
    keptFolder(`${hub.url}/org/it/resolve/${revision}/`, store, { partSize: 10_000, firstWait: 0, ...options });
  const read = (options = {}) => readAll(folder('main', options), FILE);
  async function readSource(source: ByteSource): Promise<Buffer> {
    const whole = Buffer.alloc(source.size);
    await source.readInto(whole, 0);
    return whole;
  }

  const FAILING: (readonly (keyof Store)[])[] = [['get'], ['put'], ['delete'], ['get', 'put', 'delete']];
  for (const names of FAILING) {
    for (const how of ['rejects', 'throws'] as const) {
      it(`${how} in ${names.join(', ')}: the file is read all the same, twice`, async () => {
        for (const name of names) {
          store[name] = how === 'rejects' ? refusal : () => assert.fail('at once');
        }
        assert.deepEqual(await read(), Buffer.from(bytes));
        assert.deepEqual(await read(), Buffer.from(bytes));
        const later = some(60_000);
        hub.commit('org/it', { [FILE]: later });
        assert.deepEqual(await read(), Buffer.from(later));
      });
    }
  }

  it('is over quota in the middle', async () => {
    let puts = 0;
    const put = store.put.bind(store);
    store.put = (name, blob) => (++puts > 5 ? refusal() : put(name, blob));
    assert.deepEqual(await read(), Buffer.from(bytes));
    assert.equal((await store.names()).length, 5);
    assert.deepEqual(await read(), Buffer.from(bytes));
    assert.deepEqual(
      hub.asked(FILE).map(({ range }) => range),
      [undefined, 'bytes=40000-'],
    );
  });

  it('has invalid entries', async () => {
    await read();
    const entry = (await store.names()).find((name) => !name.includes('-'))!;
    for (const json of [
      'null',
      '5',
      '{}',
      '{"version":5,"size":1}',
      '{"version":"x","size":"1"}',
      '{"version":"x","size":-1}',
    ]) {
      await store.put(entry, new Blob([json]));
      assert.deepEqual(await read(), Buffer.from(bytes), json);
    }
  });

  it('loses a part during the download', async () => {
    const put = store.put.bind(store);
    store.put = async (name, blob) => {
      await put(name, blob);
      if (name.endsWith('-7')) await store.delete(name.replace(/7$/, '3'));
    };
    assert.deepEqual(await read(), Buffer.from(bytes));
    assert.deepEqual(await read(), Buffer.from(bytes), 'the next visit sees that a part is missing');
  });

  it('loses parts after the file was opened', async () => {
    await read();
    const [source, stale] = [(await folder().open(FILE))!, (await folder().open(FILE))!];
    for (const name of await store.names()) await store.delete(name);
    hub.seen.length = 0;
    const both = await Promise.all([readSource(source), readSource(source)]);
    assert.deepEqual(both, [Buffer.from(bytes), Buffer.from(bytes)]);
    assert.equal(hub.asked(FILE).length, 1, 'downloaded again once');

    hub.commit('org/it', { [FILE]: some(100_500) });
    await assert.rejects(readSource(stale), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /tokens\.json is no longer kept, and has changed on the server: load the model again$/,
      );
      return true;
    });
  });

  it('is used by two tabs at once, also while the version changes', async () => {
    const both = await Promise.all([read(), read()]);
    assert.deepEqual(both, [Buffer.from(bytes), Buffer.from(bytes)]);
    const stale = (await folder().open(FILE))!;
    const later = some(90_000);
    hub.commit('org/it', { [FILE]: later });
    assert.deepEqual(await Promise.all([read(), read()]), [Buffer.from(later), Buffer.from(later)]);
    await assert.rejects(readSource(stale), /has changed on the server/);
  });

  it('keeps what it has if the server refuses the rest, or a network wants a login', async () => {
    hub.fail(FILE, { dropAfter: 55_000, stall: true });
    const controller = new AbortController();
    const onProgress = (_: string, done: number): void => {
      if (done >= 50_000) controller.abort(new Error('closed'));
    };
    await assert.rejects(read({ onProgress, signal: controller.signal }), /^Error: closed$/);
    hub.reset();
    hub.fail(FILE, { status: 403 });
    await assert.rejects(read(), /HTTP 403$/);
    assert.deepEqual(await read(), Buffer.from(bytes));
    assert.deepEqual(
      hub.asked(FILE).map(({ range }) => range),
      ['bytes=50000-', 'bytes=50000-'],
    );
    const headers = { 'content-type': 'text/html; charset=utf-8' };
    hub.fail(FILE, { times: Infinity, body: '<!doctype html>Please log in', headers });
    assert.deepEqual(await read(), Buffer.from(bytes));
  });

  it('gives up on a server that neither finishes nor resumes', async () => {
    hub.fail(FILE, { times: 40, dropAfter: 25_000, noRange: true });
    await assert.rejects(
      read(),
      /^CheckpointError: [^\n]+ (?:broke off after \d+ bytes|changed [^\n]+), 5 times in a row$/,
    );
  });
});

/** A function that resolves to a value. */
function given<T>(value: T): () => Promise<T> {
  return () => Promise.resolve(value);
}

describe('openStore', () => {
  const browser = globalThis as Record<string, unknown>;
  const NAMES = ['navigator', 'caches', 'FileSystemFileHandle'];
  const former = new Map(NAMES.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));
  afterEach(() => {
    for (const [name, descriptor] of former) {
      Reflect.deleteProperty(browser, name);
      if (descriptor) Object.defineProperty(browser, name, descriptor);
    }
  });
  function give(name: string, get: () => unknown): void {
    Object.defineProperty(browser, name, { configurable: true, get });
  }
  function insecure(): never {
    throw new DOMException('Access is denied for this document', 'SecurityError');
  }
  const asPrototype = (): unknown => ({ prototype: { createWritable: refusal } });

  const ROOTS: [string, () => unknown][] = [
    ['navigator.storage throws', insecure],
    ['getDirectory throws', () => ({ storage: { getDirectory: insecure } })],
    ['getDirectory rejects', () => ({ storage: { getDirectory: refusal } })],
    ['getDirectoryHandle rejects', () => ({ storage: { getDirectory: given({ getDirectoryHandle: refusal }) } })],
  ];
  for (const [what, navigator] of ROOTS) {
    it(`takes the Cache API if ${what}, and nothing if that fails, too`, async () => {
      give('FileSystemFileHandle', asPrototype);
      give('navigator', navigator);
      const cache = { match: refusal, put: refusal, delete: refusal };
      give('caches', () => ({ open: given(cache) }));
      assert.ok(await openStore());
      for (const caches of [insecure, () => ({ open: refusal }), () => ({ open: insecure }), () => undefined]) {
        give('caches', caches);
        assert.equal(await openStore(), null);
      }
    });
  }

  it('frees the copy of what could not be written', async () => {
    let aborted = 0;
    const abort = (): Promise<void> => {
      aborted++;
      return Promise.resolve();
    };
    const handle = { createWritable: given({ write: refusal, close: refusal, abort }), getFile: refusal };
    give('FileSystemFileHandle', asPrototype);
    const folder = { getFileHandle: given(handle) };
    const root = { getDirectoryHandle: given(folder) };
    give('navigator', () => ({ storage: { getDirectory: given(root) } }));
    const store = (await openStore())!;
    await assert.rejects(store.put('x', new Blob(['x'])), DOMException);
    assert.equal(aborted, 1);
    assert.equal(await store.get('x'), null, 'evicted between getFileHandle and getFile');
  });
});
