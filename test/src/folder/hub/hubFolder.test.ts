import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { loadModel } from '../../../../src/checkpoint/loadModel.js';
import { writeSafetensors } from '../../../../src/checkpoint/safetensors.js';
import { namedTensors } from '../../../../src/checkpoint/assemble.js';
import { formatConfig } from '../../../../src/checkpoint/config.js';
import { CheckpointError, HubError } from '../../../../src/lib/errors.js';
import type { HubOptions } from '../../../../src/folder/hub/connection.js';
import { askPrompt } from '../../../../src/languageModel.js';
import { demoFolder, load } from '../../../../src/load.js';
import { tinyModel, noise } from '../../../support/arbitraries.js';
import { gitHash, sha256, type Fault, type Files } from '../../../support/hub.js';
import { filesOf, openFromHub, readAll, useHub } from '../../../support/hubSetup.js';

const WEIGHTS = 'model.safetensors';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('Hub models', () => {
  const here = useHub();
  const { hub } = here;
  let demo: Files;
  let commit: string;
  /** Large enough to arrive in many chunks. */
  const next = noise(3);
  const weights = Buffer.from(Uint8Array.from({ length: 300_000 }, () => 128 * next()));
  const plain: Files = { 'config.json': bytes('{}'), 'tokenizer.json': bytes('[]'), [WEIGHTS]: weights };
  before(async () => {
    demo = await filesOf(demoFolder());
    commit = hub.commit('org/demo', demo);
    hub.commit('org/plain', plain);
  });

  const repoPath = (repo: string): string => join(here.home, 'hub', `models--${repo.replace('/', '--')}`);
  const blobs = (repo = 'org/plain'): Promise<string[]> => readdir(join(repoPath(repo), 'blobs')).catch(() => []);
  const leftovers = async (): Promise<string[]> => (await blobs()).filter((name) => name.endsWith('.incomplete'));
  const largeAsked = () => hub.asked(WEIGHTS).filter(({ by }) => by === 'cdn');

  /** Reads the weights of org/plain like a command does. */
  async function fetchWeights(options: HubOptions = {}, waits: number[] = []): Promise<Buffer | null> {
    return readAll(await openFromHub('org/plain', options, waits), WEIGHTS);
  }

  /** Checks that the weights are not in the cache, not even for an offline reader. */
  async function assertNoWeights(): Promise<void> {
    assert.ok(!(await blobs()).includes(sha256(weights)), 'the blob exists');
    process.env.HF_HUB_OFFLINE = '1';
    const folder = await openFromHub('org/plain').catch(() => null);
    Reflect.deleteProperty(process.env, 'HF_HUB_OFFLINE');
    assert.equal(folder && (await folder.open(WEIGHTS)), null);
  }

  describe('load', () => {
    it('and give the same answer as the folder', async () => {
      const model = await load('org/demo');
      let text = '';
      for await (const piece of model.generate(askPrompt('What is the capital of Japan?'))) text += piece;
      assert.equal(text, ' Tokyo');
    });

    it('into the cache layout of huggingface_hub', async () => {
      await load('org/demo');
      const root = repoPath('org/demo');
      assert.equal(await readFile(join(root, 'refs/main'), 'utf8'), commit);
      const snapshot = join(root, 'snapshots', commit);
      const names = ['config.json', WEIGHTS, 'tokenizer.json', 'tokenizer_config.json'];
      assert.deepEqual((await readdir(snapshot)).sort(), names);
      for (const name of names) {
        const content = demo[name];
        const hash = name === WEIGHTS ? sha256(content) : gitHash(content);
        assert.equal(await readlink(join(snapshot, name)), `../../blobs/${hash}`);
        assert.deepEqual(await readFile(join(snapshot, name)), content);
      }
      assert.equal((await blobs('org/demo')).length, names.length);
    });

    it('into HF_HUB_CACHE', async () => {
      process.env.HF_HUB_CACHE = join(here.home, 'elsewhere');
      await openFromHub('org/plain');
      assert.deepEqual(await readdir(here.home), ['elsewhere']);
    });

    it('only once: the second time requests only the list of files', async () => {
      await load('org/demo');
      hub.seen.length = 0;
      await load('org/demo');
      assert.ok(hub.seen.length > 0 && hub.seen.every(({ path }) => path.startsWith('/api/')));
    });

    it('from shards', async () => {
      const model = tinyModel();
      const tensors = Object.entries(namedTensors(model.weights));
      const files: Files = { 'config.json': bytes(JSON.stringify(formatConfig(model.config))) };
      const map: Record<string, string> = {};
      for (const [n, part] of [tensors.slice(0, 5), tensors.slice(5)].entries()) {
        const name = `model-0000${n + 1}-of-00002.safetensors`;
        await writeSafetensors(join(here.home, name), Object.fromEntries(part));
        files[name] = await readFile(join(here.home, name));
        for (const [tensor] of part) map[tensor] = name;
      }
      files['model.safetensors.index.json'] = bytes(JSON.stringify({ weight_map: map }));
      const id = `org/sharded@${hub.commit('org/sharded', { ...files, 'tokenizer.json': bytes('[]') })}`;
      assert.deepEqual((await loadModel(id)).model, model);
      hub.seen.length = 0;
      assert.deepEqual((await loadModel(id)).model, model);
      assert.deepEqual(hub.seen, [], 'a cached commit is requested again');
    });

    it('only the files that are read', async () => {
      const folder = await openFromHub('org/plain');
      assert.deepEqual(await readAll(folder, 'tokenizer.json'), Buffer.from('[]'));
      assert.equal(await folder.open('nothing.json'), null);
      assert.deepEqual(hub.asked(WEIGHTS), []);
    });

    it('with progress reports', async () => {
      const reports: [string, number, number][] = [];
      await fetchWeights({ onDownload: (...report) => reports.push(report) });
      const large = reports.filter(([file]) => file === WEIGHTS);
      assert.ok(large.length > 1);
      assert.deepEqual(large.at(-1), [WEIGHTS, weights.length, weights.length]);
      assert.ok(large.every(([, done], i) => i === 0 || done > large[i - 1][1]));
    });

    it('and pass on an error from onDownload instead of retrying', async () => {
      const onDownload = (): never => {
        throw new RangeError('mine');
      };
      await assert.rejects(fetchWeights({ onDownload }), /^RangeError: mine$/);
    });
  });

  describe('with revisions', () => {
    it('load from branches, tags, commits and names like refs/pr/1', async () => {
      const old = hub.commit('org/two', { 'config.json': bytes('old') }, 'refs/pr/1');
      hub.commit('org/two', { 'config.json': bytes('new') });
      const read = async (id: string): Promise<string> => String(await readAll(await openFromHub(id), 'config.json'));
      assert.equal(await read('org/two'), 'new');
      assert.equal(await read('org/two@refs/pr/1'), 'old');
      assert.equal(await read(`org/two@${old}`), 'old');
      assert.equal(await readFile(join(repoPath('org/two'), 'refs/refs/pr/1'), 'utf8'), old);
    });

    it('load the previous one offline until the next is complete', async () => {
      const files = { ...plain, [WEIGHTS]: Buffer.from('former') };
      hub.commit('org/moving', files);
      await readAll(await openFromHub('org/moving'), WEIGHTS);
      const later = hub.commit('org/moving', { ...files, 'config.json': bytes('{"later":1}'), [WEIGHTS]: weights });
      hub.fail(WEIGHTS, { times: Infinity, dropAfter: 0 });
      const folder = await openFromHub('org/moving');
      await assert.rejects(folder.open(WEIGHTS), HubError);
      process.env.HF_HUB_OFFLINE = '1';
      assert.equal(String(await readAll(await openFromHub('org/moving'), 'config.json')), '{}');
      Reflect.deleteProperty(process.env, 'HF_HUB_OFFLINE');
      hub.reset();
      await readAll(await openFromHub('org/moving'), WEIGHTS);
      assert.equal(await readFile(join(repoPath('org/moving'), 'refs/main'), 'utf8'), later);
    });
  });

  describe('without a network', () => {
    const notes: string[] = [];
    const options = { onNote: (line: string) => notes.push(line) };
    beforeEach(() => (notes.length = 0));

    it('come from the cache, with a note', async () => {
      await fetchWeights();
      process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
      assert.deepEqual(await fetchWeights(options), weights);
      assert.match(
        notes.join(),
        /^org\/plain: 127\.0\.0\.1:9 cannot be reached: [^,]+; using the cached copy, commit \w{8}$/,
      );
    });

    it('come from the cache without requests if HF_HUB_OFFLINE is set', async () => {
      await fetchWeights();
      hub.seen.length = 0;
      process.env.HF_HUB_OFFLINE = '1';
      assert.deepEqual(await fetchWeights(options), weights);
      assert.deepEqual(hub.seen, []);
      assert.match(notes.join(), /^HF_HUB_OFFLINE is set: using the cached copy of org\/plain@main, commit \w{8}$/);
    });

    it('are rejected if they are not cached', async () => {
      process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: 127\.0\.0\.1:9 cannot be reached: [^\n]+$/);
      process.env.HF_HUB_OFFLINE = '1';
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain@main is neither a local folder nor in the cache at [^\n]+, and HF_HUB_OFFLINE/,
      );
    });

    it('are rejected if they are only partly cached', async () => {
      await openFromHub('org/demo');
      process.env.HF_HUB_OFFLINE = '1';
      await assert.rejects(load('org/demo'), /the cached copy of org\/demo@main has neither model\.safetensors nor/);
    });

    it('come from the cache if the Hub is unavailable or too busy', async () => {
      await fetchWeights();
      for (const status of [503, 429]) {
        hub.fail('/revision/main', { times: Infinity, status });
        const waits: number[] = [];
        assert.deepEqual(await fetchWeights(options, waits), weights);
        assert.match(notes.at(-1)!, new RegExp(`HTTP ${status}.*using the cached copy`));
        assert.deepEqual(waits, [], 'it waited in vain');
        hub.reset();
      }
    });

    it('come from the cache if the Hub does not respond', async () => {
      await fetchWeights();
      hub.fail('/revision/main', { times: Infinity, silent: true });
      assert.deepEqual(await fetchWeights(options), weights);
      assert.match(notes.at(-1)!, /cannot be reached: no data for 0\.3 seconds; using the cached copy/);
    });

    it('are requested again after a failure if they are only partly cached', async () => {
      await openFromHub('org/plain');
      hub.fail('/revision/main', { times: 2, status: 503 });
      const waits: number[] = [];
      assert.deepEqual(await fetchWeights(options, waits), weights);
      assert.deepEqual([waits, notes], [[1, 2], []]);
    });

    it('are rejected if the Hub denies access', async () => {
      await fetchWeights();
      hub.gated = true;
      await assert.rejects(fetchWeights(), HubError);
    });
  });

  describe('survive', () => {
    /** Ways to interrupt a download, and the ranges that must be requested. */
    const BREAKS: [string, Fault[], (string | undefined)[]][] = [
      [
        'responses that end early',
        [{ endAfter: 1000 }, { endAfter: 70_000 }],
        [undefined, 'bytes=1000-', 'bytes=71000-'],
      ],
      ['a drop before the first byte', [{ dropAfter: 0 }], [undefined, undefined]],
      ['a server without range support', [{ endAfter: 1000 }, { noRange: true }], [undefined, 'bytes=1000-']],
      [
        'a server that does not respond, or stalls in the middle',
        [{ silent: true }, { dropAfter: 50_000, stall: true }],
        [undefined, undefined, 'bytes=50000-'],
      ],
      ['500, 502, 503, 504', [500, 502, 503, 504].map((status) => ({ status })), Array<undefined>(5).fill(undefined)],
    ];
    for (const [what, faults, ranges] of BREAKS) {
      it(what, async () => {
        for (const fault of faults) hub.fail(WEIGHTS, fault);
        assert.deepEqual(await fetchWeights(), weights);
        assert.deepEqual(
          largeAsked().map(({ range }) => range),
          ranges,
        );
        assert.deepEqual(await leftovers(), []);
      });
    }

    it('dropped connections, keeping the received bytes', async () => {
      for (let i = 0; i < 10; i++) hub.fail(WEIGHTS, { dropAfter: 29_000 });
      assert.deepEqual(await fetchWeights(), weights);
      const offsets = largeAsked().map(({ range }) => Number(/\d+/.exec(range ?? '0')![0]));
      assert.ok(offsets.every((offset, i) => offset <= 29_000 * i && offset >= (offsets[i - 1] ?? 0)));
      assert.ok(offsets.at(-1)! > 0);
    });

    it('too many requests, waiting as long as the Hub asks', async () => {
      hub.fail('/revision/main', { status: 429, headers: { 'retry-after': '7' } });
      hub.fail(WEIGHTS, { status: 429, headers: { 'retry-after': '0' } });
      hub.fail(WEIGHTS, { status: 429 });
      const waits: number[] = [];
      const notes: string[] = [];
      assert.deepEqual(await fetchWeights({ onNote: (line) => notes.push(line) }, waits), weights);
      assert.deepEqual(waits, [7, 0, 2]);
      assert.match(notes.join(), /^127\.0\.0\.1:\d+ answers HTTP 429; trying again in 7 seconds$/);
    });

    it('giving up: the next attempt resumes the download', async () => {
      hub.fail(WEIGHTS, { dropAfter: 200_000 });
      hub.fail(WEIGHTS, { times: Infinity, dropAfter: 0 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors broke off after \d+ of 300000 bytes, 5 times in a row; the next attempt will resume from there$/,
      );
      await assertNoWeights();
      const [left] = await leftovers();
      const { size } = await stat(join(repoPath('org/plain'), 'blobs', left));
      assert.ok(size > 0 && size <= 200_000, `${size} bytes are kept`);
      hub.reset();
      assert.deepEqual(await fetchWeights(), weights);
      assert.deepEqual(
        largeAsked().map(({ range }) => range),
        [`bytes=${size}-`],
      );
    });

    it('an abort, throwing its reason', async () => {
      hub.fail(WEIGHTS, { dropAfter: 100_000, stall: true });
      const controller = new AbortController();
      const onDownload = (file: string, done: number): void => {
        if (file === WEIGHTS && done === 100_000) controller.abort(new Error('enough'));
      };
      await assert.rejects(fetchWeights({ signal: controller.signal, onDownload }), /^Error: enough$/);
      await assertNoWeights();
      hub.seen.length = 0;
      assert.deepEqual(await fetchWeights(), weights);
      assert.deepEqual(largeAsked()[0].range, 'bytes=100000-');
    });
  });

  describe('never count as complete if', () => {
    it('their hash is wrong', async () => {
      hub.fail(WEIGHTS, { corrupt: true });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors: the download does not match the hash that 127\.0\.0\.1:\d+ lists$/,
      );
      await assertNoWeights();
      assert.deepEqual(await leftovers(), [], 'a wrong file must not be resumed');
      assert.deepEqual(await fetchWeights(), weights);
    });

    it('the hash of a small file is wrong', async () => {
      hub.fail('tokenizer.json', { corrupt: true });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: tokenizer\.json: the download does not match the hash/,
      );
      assert.deepEqual(await blobs(), []);
    });

    it('pieces do not match; the download then starts over', async () => {
      hub.fail(WEIGHTS, { endAfter: 1000, corrupt: true });
      assert.deepEqual(await fetchWeights(), weights);
      assert.deepEqual(
        largeAsked().map(({ range }) => range),
        [undefined, 'bytes=1000-', undefined],
      );
    });

    it('pieces do not match the second time either', async () => {
      for (let i = 0; i < 2; i++) {
        hub.fail(WEIGHTS, { endAfter: 1000, corrupt: true });
        hub.fail(WEIGHTS, {});
      }
      await assert.rejects(fetchWeights(), /does not match the hash that 127[^ ]+ lists$/);
      await assertNoWeights();
      assert.equal(largeAsked().length, 4);
    });

    it('they are longer than announced', async () => {
      hub.fail(WEIGHTS, { surplus: 3 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors is 300003 bytes on 127[^ ]+, but 300000 in its list of files$/,
      );
      hub.fail(WEIGHTS, { surplus: 3, endAfter: 300_003 });
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: model\.safetensors is longer than the 300000 bytes/);
      await assertNoWeights();
      hub.fail(WEIGHTS, { endAfter: 1000 });
      hub.fail(WEIGHTS, { surplus: 3 });
      await assert.rejects(fetchWeights(), /is 300003 bytes on 127[^ ]+, but 300000/);
      await assertNoWeights();
    });

    it('they are shorter than announced', async () => {
      hub.fail(WEIGHTS, { body: 'short' });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors is 5 bytes on 127[^ ]+, but 300000/,
      );
      await assertNoWeights();
    });

    it('a process left a wrong partial file', async () => {
      const blob = join(repoPath('org/plain'), 'blobs', sha256(weights));
      await mkdir(dirname(blob), { recursive: true });
      for (const length of [1000, weights.length, weights.length + 1]) {
        await writeFile(`${blob}.free.incomplete`, Buffer.alloc(length));
        const notes: string[] = [];
        assert.deepEqual(await fetchWeights({ onNote: (line) => notes.push(line) }), weights);
        const wrong = length <= weights.length; // a longer partial file is discarded at once
        assert.match(notes.join(), wrong ? /does not match the hash that 127[^ ]+ lists; starting over$/ : /^$/);
        assert.deepEqual(await leftovers(), []);
        await writeFile(blob, ''); // a blob of the wrong length is ignored
      }
      assert.deepEqual(await fetchWeights(), weights);
    });
  });

  describe('downloaded by several processes at once', () => {
    const blob = (): string => join(repoPath('org/plain'), 'blobs', sha256(weights));
    async function plant(owner: string): Promise<string> {
      await mkdir(dirname(blob()), { recursive: true });
      const path = owner === '' ? `${blob()}.incomplete` : `${blob()}.${owner}.incomplete`;
      await writeFile(path, weights.subarray(0, 1000));
      return path;
    }

    it('leave the partial files of live processes, other machines and Python alone', async () => {
      const { pid } = spawnSync(process.execPath, ['--version']);
      const planted = [
        await plant(`${hostname()}-${process.ppid}-1a2b`),
        await plant(`elsewhere-${pid}-1a2b`),
        await plant(''),
      ];
      await utimes(planted[2], 0, 0);
      assert.deepEqual(await fetchWeights(), weights);
      assert.equal(largeAsked()[0].range, undefined);
      for (const path of planted) assert.deepEqual(await readFile(path), weights.subarray(0, 1000), path);
    });

    it('resume and clean up the partial files of dead or long inactive processes', async () => {
      const { pid } = spawnSync(process.execPath, ['--version']);
      await plant(`${hostname()}-${pid}-1a2b`);
      await plant('free');
      assert.deepEqual(await fetchWeights(), weights);
      assert.equal(largeAsked()[0].range, 'bytes=1000-');
      assert.deepEqual(await leftovers(), []);
      await writeFile(blob(), '');
      hub.seen.length = 0;
      await utimes(await plant('elsewhere-1-1a2b'), 0, 0);
      assert.deepEqual(await fetchWeights(), weights);
      assert.equal(largeAsked()[0].range, 'bytes=1000-');
      assert.deepEqual(await leftovers(), []);
    });

    it('reach all of them', async () => {
      const all = await Promise.all([fetchWeights(), fetchWeights(), fetchWeights()]);
      for (const one of all) assert.deepEqual(one, weights);
      assert.deepEqual((await blobs()).length, 3);
    });
  });

  describe('are rejected in one line if', () => {
    it('the model, revision or file does not exist', async () => {
      await assert.rejects(
        openFromHub('org/nope'),
        /^HubError: org\/nope is neither a local folder nor a public model on 127\.0\.0\.1:\d+; if it is private or gated, set HF_TOKEN \(HTTP 401\)$/,
      );
      process.env.HF_TOKEN = 'secret';
      await assert.rejects(
        openFromHub('org/nope'),
        /^HubError: org\/nope is neither a local folder nor a model on 127\.0\.0\.1:\d+ with a revision main \(HTTP 404\)$/,
      );
      await assert.rejects(openFromHub('org/plain@nope'), /^HubError: org\/plain has no revision "nope" \(HTTP 404\)$/);
      hub.fail('config.json', { status: 404, headers: { 'x-error-code': 'EntryNotFound' } });
      await assert.rejects(fetchWeights(), /^HubError: http[^ ]+\/config\.json does not exist \(HTTP 404\)$/);
      hub.fail(WEIGHTS, { status: 404 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: http[^ ]+\/model\.safetensors cannot be read: HTTP 404 from 127[^ ]+, which serves the large files$/,
      );
      await assertNoWeights();
    });

    it('they are gated or private', async () => {
      hub.gated = true;
      hub.token = 'secret';
      await assert.rejects(openFromHub('org/plain'), /set HF_TOKEN \(HTTP 401\)$/);
      process.env.HF_TOKEN = 'another';
      await assert.rejects(
        openFromHub('org/plain'),
        /^HubError: org\/plain: [^\n]+ denies access to the account of HF_TOKEN; if it is gated, accept its terms at http[^\n]+\/org\/plain \(HTTP 403\)$/,
      );
      hub.gated = false;
      await assert.rejects(
        openFromHub('org/plain'),
        /^HubError: org\/plain: [^\n]+ does not accept the token in HF_TOKEN \(HTTP 401\)$/,
      );
      process.env.HF_TOKEN = 'secret';
      assert.deepEqual(await fetchWeights(), weights);
    });

    it('another host wants the token, which it never sees', async () => {
      process.env.HF_TOKEN = hub.token = 'secret';
      await fetchWeights();
      const seen = (by: string) => new Set(hub.seen.filter((it) => it.by === by).map((it) => it.authorization));
      assert.deepEqual([seen('hub'), seen('cdn')], [new Set(['Bearer secret']), new Set([undefined])]);
      const elsewhere = `${hub.url.replace('127.0.0.1', 'localhost')}/api/more`;
      const link = `<${elsewhere}>; rel="next"`;
      hub.fail(`/tree/${hub.commit('org/plain', plain)}`, { body: '[]', headers: { link } });
      await assert.rejects(openFromHub('org/plain'), /HTTP 401/);
      assert.deepEqual(
        hub.asked('/api/more').map(({ authorization }) => authorization),
        [undefined],
      );
    });

    it('the Hub keeps answering 429', async () => {
      hub.fail(WEIGHTS, { times: Infinity, status: 429 });
      const waits: number[] = [];
      await assert.rejects(
        fetchWeights({}, waits),
        /^HubError: org\/plain: [^\n]+ received too many requests \(HTTP 429, 5 times\): try again later, or set HF_TOKEN for a higher limit$/,
      );
      assert.deepEqual(waits, [1, 2, 4, 8]);
      await assertNoWeights();
    });

    it('the Hub asks for too long a wait', async () => {
      const date = new Date(Date.now() + 3_600_000).toUTCString();
      hub.fail(WEIGHTS, { status: 429, headers: { 'retry-after': date } });
      const waits: number[] = [];
      await assert.rejects(fetchWeights({}, waits), /is busy \(HTTP 429\) and asks to wait 3[56]\d\d seconds$/);
      assert.deepEqual(waits, []);
    });

    it('the endpoint is not a Hub', async () => {
      for (const body of ['<html>Please log in</html>', '{"sha":"../../etc"}', 'null', '\u001b[2J\u0000']) {
        hub.fail('/revision/main', { body });
        await assert.rejects(
          openFromHub('org/plain'),
          /^HubError: org\/plain: [^\n]+ does not respond like the Hub: \P{C}+$/u,
        );
      }
      process.env.HF_ENDPOINT = 'nowhere';
      await assert.rejects(openFromHub('org/plain'), /^InputError: HF_ENDPOINT: nowhere is not a URL$/);
    });

    it('the environment contains an unusable secret, without showing it', async () => {
      process.env.HF_TOKEN = 'hf_secret\nmore';
      await assert.rejects(
        openFromHub('org/plain'),
        /^InputError: HF_TOKEN contains characters that are not allowed in a token$/,
      );
      process.env.HF_ENDPOINT = 'http://me:secret@127.0.0.1:9';
      await assert.rejects(
        openFromHub('org/plain'),
        /^InputError: HF_ENDPOINT must not contain a user name or password;/,
      );
      assert.deepEqual(hub.seen, []);
    });

    it('the list of files leads out of the cache', async () => {
      const entry = { type: 'file', path: 'config.json', size: 2, oid: '0'.repeat(40) };
      const bad = [{ path: '../config.json' }, { oid: '../../x' }, { size: -1 }, { lfs: { oid: '/etc/passwd' } }];
      for (const change of bad) {
        hub.fail(`/tree/${hub.commit('org/plain', plain)}`, { body: JSON.stringify([{ ...entry, ...change }]) });
        await assert.rejects(openFromHub('org/plain'), /the list of files has an invalid entry for "[^"\n]+"$/);
      }
    });

    it('the cache cannot be written', async () => {
      process.env.HF_HOME = join(here.home, 'a file');
      await writeFile(process.env.HF_HOME, '');
      await assert.rejects(openFromHub('org/plain'), /^HubError: [^\n]+ cannot be written: [^\n]+$/);
    });

    it('their weights are pickled, before downloading any', async () => {
      const others = Object.entries(demo).filter(([name]) => name !== WEIGHTS);
      hub.commit('org/pickled', { ...Object.fromEntries(others), 'pytorch_model.bin': weights });
      await assert.rejects(load('org/pickled'), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(
          error.message,
          /^http[^ ]+\/org\/pickled\/resolve\/[0-9a-f]+\/pytorch_model\.bin is a Python pickle, which can run code when read: emergent import pytorch_model\.bin --out DIR reads it without running it$/,
        );
        return true;
      });
      assert.deepEqual(hub.asked('pytorch_model.bin'), []);
    });
  });

  it('replace a dangling link in the cache', async () => {
    const snapshot = join(repoPath('org/plain'), 'snapshots', hub.commit('org/plain', plain));
    await mkdir(snapshot, { recursive: true });
    await symlink('../../blobs/gone', join(snapshot, WEIGHTS));
    assert.deepEqual(await fetchWeights(), weights);
  });
});
