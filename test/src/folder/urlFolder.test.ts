import assert from 'node:assert/strict';
import { namedTensors } from '../../../src/checkpoint/assemble.js';
import { formatConfig } from '../../../src/checkpoint/config.js';
import { readModel } from '../../../src/checkpoint/readModel.js';
import { encodeSafetensors } from '../../../src/checkpoint/writer.js';
import { load } from '../../../src/browser.js';
import type { Folder } from '../../../src/folder/folder.js';
import { keptFolder } from '../../../src/folder/keptFolder.js';
import type { Store } from '../../../src/folder/store.js';
import { urlFolder } from '../../../src/folder/urlFolder.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { tinyModel } from '../../support/arbitraries.js';
import { FakeHub, type Fault, type Files } from '../../support/hub.js';
import { readAll } from '../../support/hubSetup.js';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const OPTIONAL = [WEIGHTS, INDEX, 'tokenizer_config.json', 'generation_config.json', 'special_tokens_map.json'];

/** How hosts answer for a file that they do not have. */
const ABSENCES: [string, Fault][] = [
  ['403', { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }],
  ['index.html', { body: '<!doctype html>', headers: { 'content-type': 'text/html' } }],
  ['Index.html', { body: '<!DOCTYPE html>', headers: { 'content-type': 'Text/HTML; charset=UTF-8' } }],
];

function mapStore(): Store {
  const kept = new Map<string, Blob>();
  return {
    get: (name) => Promise.resolve(kept.get(name) ?? null),
    put: (name, blob) => Promise.resolve(void kept.set(name, blob)),
    delete: (name) => Promise.resolve(void kept.delete(name)),
    names: () => Promise.resolve([...kept.keys()]),
  };
}

/** A model in two shards. */
function sharded(model: ReturnType<typeof tinyModel>): Files {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const files: Files = { 'config.json': encode(JSON.stringify(formatConfig(model.config))) };
  const tensors = Object.entries(namedTensors(model.weights));
  const map: Record<string, string> = {};
  for (const [n, part] of [tensors.slice(0, 5), tensors.slice(5)].entries()) {
    const name = `model-0000${n + 1}-of-00002.safetensors`;
    const pieces: Uint8Array[] = [];
    for (const piece of encodeSafetensors(Object.fromEntries(part))) pieces.push(piece.slice());
    files[name] = Buffer.concat(pieces);
    for (const [tensor] of part) map[tensor] = name;
  }
  files[INDEX] = encode(JSON.stringify({ weight_map: map }));
  return files;
}

describe('a host that does not answer 404', () => {
  const hub = new FakeHub();
  const model = tinyModel();
  before(async () => {
    await hub.open();
    hub.commit('org/sharded', sharded(model));
  });
  after(() => hub.close());
  beforeEach(() => hub.reset());
  const url = (): string => `${hub.url}/org/sharded/resolve/main/`;
  const FOLDERS: [string, () => Folder][] = [
    ['a URL', () => urlFolder(url())],
    ['a URL, kept', () => keptFolder(url(), mapStore(), { firstWait: 0 })],
  ];

  for (const [where, open] of FOLDERS) {
    for (const [what, fault] of ABSENCES) {
      it(`but ${what} loads a model from shards behind ${where}`, async () => {
        for (const file of OPTIONAL) if (file !== INDEX) hub.fail(file, { times: Infinity, ...fault });
        const folder = open();
        assert.deepEqual((await readModel(folder)).model, model);
        for (const file of OPTIONAL) assert.equal((await folder.open(file)) === null, file !== INDEX, file);
      });

      it(`but ${what} names the weights if there is no index either behind ${where}`, async () => {
        for (const file of [WEIGHTS, INDEX]) hub.fail(file, { times: Infinity, ...fault });
        await assert.rejects(readModel(open()), (error: Error) => {
          assert.ok(error instanceof CheckpointError);
          assert.match(
            error.message,
            /\/model\.safetensors cannot be read: (?:HTTP 403|the server sent a web page), and there is no [^\n]+$/,
          );
          return true;
        });
      });
    }

    it(`and refuses a file that every model has is a fault behind ${where}`, async () => {
      for (const file of ['config.json', 'model-00001-of-00002.safetensors']) {
        hub.fail(file, { times: Infinity, status: 403 });
        await assert.rejects(open().open(file), /^CheckpointError: [^\n]+ cannot be read: HTTP 403$/);
      }
    });
  }

  it('is asked again on the next visit: only a plain 404 is kept', async () => {
    const folder = keptFolder(url(), mapStore(), { firstWait: 0 });
    hub.fail(INDEX, { status: 403 });
    assert.equal(await folder.open(INDEX), null);
    assert.ok(await folder.open(INDEX));
  });
});

describe('a server that cannot be reached', () => {
  it('is reported with the cause', async () => {
    const message =
      /^(?:Checkpoint|Tokenizer)Error: http:\/\/127\.0\.0\.1:2\/\S+ cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:2$/;
    await assert.rejects(load('http://127.0.0.1:2/'), message);
    await assert.rejects(readAll(keptFolder('http://127.0.0.1:2/', mapStore()), 'config.json'), message);
    await assert.rejects(load('http://127.0.0.1:6000/'), /cannot be reached: bad port$/);
  });

  it('is reported with the cause if it breaks off', async () => {
    const hub = await new FakeHub().open();
    hub.commit('org/it', { 'tokenizer.json': new Uint8Array(1000) });
    hub.fail('tokenizer.json', { dropAfter: 500 });
    const broken = load(`${hub.url}/org/it/resolve/main/`);
    await assert.rejects(broken, /tokenizer\.json: the download failed after \d+ bytes: other side closed$/);
    await hub.close();
  });
});
