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

describe('models of the Hub', () => {
  const here = useHub();
  const { hub } = here;
  let demo: Files;
  let commit: string;
  /** Large enough to come in many pieces. */
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

  /** Reads the weights of org/plain as a command would. */
  async function fetchWeights(options: HubOptions = {}, waits: number[] = []): Promise<Buffer | null> {
    return readAll(await openFromHub('org/plain', options, waits), WEIGHTS);
  }

  /** Nothing of the weights may be found by whoever looks for them next without a network. */
  async function assertNoWeights(): Promise<void> {
    assert.ok(!(await blobs()).includes(sha256(weights)), 'the blob is there');
    process.env.HF_HUB_OFFLINE = '1';
    const folder = await openFromHub('org/plain').catch(() => null);
    Reflect.deleteProperty(process.env, 'HF_HUB_OFFLINE');
    assert.equal(folder && (await folder.open(WEIGHTS)), null);
  }

  describe('are loaded', () => {
    it('and answer as the folder does', async () => {
      const model = await load('org/demo');
      let text = '';
      for await (const piece of model.generate(askPrompt('What is the capital of Japan?'))) text += piece;
      assert.equal(text, ' Tokyo');
    });

    it('into the layout that huggingface_hub shares', async () => {
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

    it('where HF_HUB_CACHE says', async () => {
      process.env.HF_HUB_CACHE = join(here.home, 'elsewhere');
      await openFromHub('org/plain');
      assert.deepEqual(await readdir(here.home), ['elsewhere']);
    });

    it('once: a second time only the list is asked for', async () => {
      await load('org/demo');
      hub.seen.length = 0;
      await load('org/demo');
      assert.ok(hub.seen.length > 0 && hub.seen.every(({ path }) => path.startsWith('/api/')));
    });

    it('in shards', async () => {
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
      assert.deepEqual(hub.seen, [], 'a commit that is here is asked for again');
    });

    it('only in those files that are read', async () => {
      const folder = await openFromHub('org/plain');
      assert.deepEqual(await readAll(folder, 'tokenizer.json'), Buffer.from('[]'));
      assert.equal(await folder.open('nothing.json'), null);
      assert.deepEqual(hub.asked(WEIGHTS), []);
    });

    it('with progress', async () => {
      const reports: [string, number, number][] = [];
      await fetchWeights({ onDownload: (...report) => reports.push(report) });
      const large = reports.filter(([file]) => file === WEIGHTS);
      assert.ok(large.length > 1);
      assert.deepEqual(large.at(-1), [WEIGHTS, weights.length, weights.length]);
      assert.ok(large.every(([, done], i) => i === 0 || done > large[i - 1][1]));
    });

    it('and what onDownload throws is not taken for a broken connection', async () => {
      const onDownload = (): never => {
        throw new RangeError('mine');
      };
      await assert.rejects(fetchWeights({ onDownload }), /^RangeError: mine$/);
    });
  });

  describe('have revisions', () => {
    it('branches, tags and commits, also such as refs/pr/1', async () => {
      const old = hub.commit('org/two', { 'config.json': bytes('old') }, 'refs/pr/1');
      hub.commit('org/two', { 'config.json': bytes('new') });
      const read = async (id: string): Promise<string> => String(await readAll(await openFromHub(id), 'config.json'));
      assert.equal(await read('org/two'), 'new');
      assert.equal(await read('org/two@refs/pr/1'), 'old');
      assert.equal(await read(`org/two@${old}`), 'old');
      assert.equal(await readFile(join(repoPath('org/two'), 'refs/refs/pr/1'), 'utf8'), old);
    });

    it('a former one is kept for days without a network until all of the next is here', async () => {
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

    it('are taken from the cache, which is said', async () => {
      await fetchWeights();
      process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
      assert.deepEqual(await fetchWeights(options), weights);
      assert.match(
        notes.join(),
        /^org\/plain: 127\.0\.0\.1:9 cannot be reached: [^,]+; taking what the cache has, commit \w{8}$/,
      );
    });

    it('and with HF_HUB_OFFLINE nothing is asked', async () => {
      await fetchWeights();
      hub.seen.length = 0;
      process.env.HF_HUB_OFFLINE = '1';
      assert.deepEqual(await fetchWeights(options), weights);
      assert.deepEqual(hub.seen, []);
      assert.match(notes.join(), /^HF_HUB_OFFLINE is set: taking what the cache has of org\/plain@main, commit \w{8}$/);
    });

    it('are refused where the cache has none of them', async () => {
      process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: 127\.0\.0\.1:9 cannot be reached: [^\n]+$/);
      process.env.HF_HUB_OFFLINE = '1';
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain@main is neither a folder here nor in [^\n]+, and HF_HUB_OFFLINE/,
      );
    });

    it('are refused where the cache has a part of them', async () => {
      await openFromHub('org/demo');
      process.env.HF_HUB_OFFLINE = '1';
      await assert.rejects(load('org/demo'), /what the cache has of org\/demo@main has neither model\.safetensors nor/);
    });

    it('as well if the Hub is out of order or too busy', async () => {
      await fetchWeights();
      for (const status of [503, 429]) {
        hub.fail('/revision/main', { times: Infinity, status });
        const waits: number[] = [];
        assert.deepEqual(await fetchWeights(options, waits), weights);
        assert.match(notes.at(-1)!, new RegExp(`HTTP ${status}.*taking what the cache has`));
        assert.deepEqual(waits, [], 'there is no need to wait');
        hub.reset();
      }
    });

    it('as well if it does not answer', async () => {
      await fetchWeights();
      hub.fail('/revision/main', { times: Infinity, silent: true });
      assert.deepEqual(await fetchWeights(options), weights);
      assert.match(notes.at(-1)!, /cannot be reached: nothing came for 0\.3 seconds; taking what the cache has/);
    });

    it('but not at the first fault while the cache has only a part of them', async () => {
      await openFromHub('org/plain');
      hub.fail('/revision/main', { times: 2, status: 503 });
      const waits: number[] = [];
      assert.deepEqual(await fetchWeights(options, waits), weights);
      assert.deepEqual([waits, notes], [[1, 2], []]);
    });

    it('but not if the Hub says that there is none, or that it is not for us', async () => {
      await fetchWeights();
      hub.gated = true;
      await assert.rejects(fetchWeights(), HubError);
    });
  });

  describe('survive', () => {
    /** Ways in which a download does not come to its end, and from where the next answers have to come. */
    const BREAKS: [string, Fault[], (string | undefined)[]][] = [
      [
        'answers that end early',
        [{ endAfter: 1000 }, { endAfter: 70_000 }],
        [undefined, 'bytes=1000-', 'bytes=71000-'],
      ],
      ['a drop before the first byte', [{ dropAfter: 0 }], [undefined, undefined]],
      ['a server that knows no ranges', [{ endAfter: 1000 }, { noRange: true }], [undefined, 'bytes=1000-']],
      [
        'a server that does not answer, or falls silent in the middle',
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

    it('dropped connections, of which what arrived is kept', async () => {
      for (let i = 0; i < 10; i++) hub.fail(WEIGHTS, { dropAfter: 29_000 });
      assert.deepEqual(await fetchWeights(), weights);
      const offsets = largeAsked().map(({ range }) => Number(/\d+/.exec(range ?? '0')![0]));
      assert.ok(offsets.every((offset, i) => offset <= 29_000 * i && offset >= (offsets[i - 1] ?? 0)));
      assert.ok(offsets.at(-1)! > 0);
    });

    it('too many requests, for as long as the Hub asks', async () => {
      hub.fail('/revision/main', { status: 429, headers: { 'retry-after': '7' } });
      hub.fail(WEIGHTS, { status: 429, headers: { 'retry-after': '0' } });
      hub.fail(WEIGHTS, { status: 429 });
      const waits: number[] = [];
      const notes: string[] = [];
      assert.deepEqual(await fetchWeights({ onNote: (line) => notes.push(line) }, waits), weights);
      assert.deepEqual(waits, [7, 0, 2]);
      assert.match(notes.join(), /^127\.0\.0\.1:\d+ answers HTTP 429; trying again in 7 seconds$/);
    });

    it('an end of our own: the next attempt goes on from there', async () => {
      hub.fail(WEIGHTS, { dropAfter: 200_000 });
      hub.fail(WEIGHTS, { times: Infinity, dropAfter: 0 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors broke off after \d+ of 300000 bytes, 5 times in a row; what has arrived is kept$/,
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

    it('an abort, whose reason is thrown', async () => {
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

  describe('are never taken for whole if', () => {
    it('their hash is wrong', async () => {
      hub.fail(WEIGHTS, { corrupt: true });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors did not arrive as it is on 127\.0\.0\.1:\d+: its hash is wrong$/,
      );
      await assertNoWeights();
      assert.deepEqual(await leftovers(), [], 'a wrong file is no beginning of a right one');
      assert.deepEqual(await fetchWeights(), weights);
    });

    it('the hash of a small file is wrong', async () => {
      hub.fail('tokenizer.json', { corrupt: true });
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: tokenizer\.json did not arrive as it is/);
      assert.deepEqual(await blobs(), []);
    });

    it('pieces do not fit: then all is asked for once more', async () => {
      hub.fail(WEIGHTS, { endAfter: 1000, corrupt: true });
      assert.deepEqual(await fetchWeights(), weights);
      assert.deepEqual(
        largeAsked().map(({ range }) => range),
        [undefined, 'bytes=1000-', undefined],
      );
    });

    it('and still do not', async () => {
      for (let i = 0; i < 2; i++) {
        hub.fail(WEIGHTS, { endAfter: 1000, corrupt: true });
        hub.fail(WEIGHTS, {});
      }
      await assert.rejects(fetchWeights(), /its hash is wrong$/);
      await assertNoWeights();
      assert.equal(largeAsked().length, 4);
    });

    it('they are longer than announced', async () => {
      hub.fail(WEIGHTS, { surplus: 3 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: org\/plain: model\.safetensors is 300003 bytes long, but 300000 according to the list of files on 127/,
      );
      hub.fail(WEIGHTS, { surplus: 3, endAfter: 300_003 });
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: model\.safetensors is longer than the 300000 bytes/);
      await assertNoWeights();
      hub.fail(WEIGHTS, { endAfter: 1000 });
      hub.fail(WEIGHTS, { surplus: 3 });
      await assert.rejects(fetchWeights(), /is 300003 bytes long, but 300000/);
      await assertNoWeights();
    });

    it('they are shorter than announced', async () => {
      hub.fail(WEIGHTS, { body: 'short' });
      await assert.rejects(fetchWeights(), /^HubError: org\/plain: model\.safetensors is 5 bytes long, but 300000/);
      await assertNoWeights();
    });

    it('a process left a part of them that is wrong', async () => {
      const blob = join(repoPath('org/plain'), 'blobs', sha256(weights));
      await mkdir(dirname(blob), { recursive: true });
      for (const length of [1000, weights.length, weights.length + 1]) {
        await writeFile(`${blob}.free.incomplete`, Buffer.alloc(length));
        const notes: string[] = [];
        assert.deepEqual(await fetchWeights({ onNote: (line) => notes.push(line) }), weights);
        const wrong = length <= weights.length; // a longer one is none to begin with
        assert.match(notes.join(), wrong ? /its hash is wrong; once more from the beginning$/ : /^$/);
        assert.deepEqual(await leftovers(), []);
        await writeFile(blob, ''); // a blob of another length is none
      }
      assert.deepEqual(await fetchWeights(), weights);
    });
  });

  describe('of several processes at once', () => {
    const blob = (): string => join(repoPath('org/plain'), 'blobs', sha256(weights));
    async function plant(owner: string): Promise<string> {
      await mkdir(dirname(blob()), { recursive: true });
      const path = owner === '' ? `${blob()}.incomplete` : `${blob()}.${owner}.incomplete`;
      await writeFile(path, weights.subarray(0, 1000));
      return path;
    }

    it('leave alone what another writes, be it ours, of another machine or of Python', async () => {
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

    it('take over what a dead one left, or one that has long been silent, and clear up the rest', async () => {
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

    it('all get them', async () => {
      const all = await Promise.all([fetchWeights(), fetchWeights(), fetchWeights()]);
      for (const one of all) assert.deepEqual(one, weights);
      assert.deepEqual((await blobs()).length, 3);
    });
  });

  describe('are refused in one line if', () => {
    it('there is no such model, revision or file', async () => {
      await assert.rejects(
        openFromHub('org/nope'),
        /^HubError: org\/nope is no folder here, and 127\.0\.0\.1:\d+ has no public model of that name; for a private or gated one set HF_TOKEN \(HTTP 401\)$/,
      );
      process.env.HF_TOKEN = 'secret';
      await assert.rejects(
        openFromHub('org/nope'),
        /^HubError: org\/nope is no folder here, and 127\.0\.0\.1:\d+ has no model of that name with a revision main \(HTTP 404\)$/,
      );
      await assert.rejects(openFromHub('org/plain@nope'), /^HubError: org\/plain has no revision "nope" \(HTTP 404\)$/);
      hub.fail('config.json', { status: 404, headers: { 'x-error-code': 'EntryNotFound' } });
      await assert.rejects(fetchWeights(), /^HubError: http[^ ]+\/config\.json does not exist \(HTTP 404\)$/);
      hub.fail(WEIGHTS, { status: 404 });
      await assert.rejects(
        fetchWeights(),
        /^HubError: http[^ ]+\/model\.safetensors cannot be read: HTTP 404 from 127[^ ]+, which has the large files$/,
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
        /^HubError: org\/plain: [^\n]+ does not open it to the account of HF_TOKEN; if it is gated, accept its terms at http[^\n]+\/org\/plain \(HTTP 403\)$/,
      );
      hub.gated = false;
      await assert.rejects(
        openFromHub('org/plain'),
        /^HubError: org\/plain: [^\n]+ does not accept the token in HF_TOKEN \(HTTP 401\)$/,
      );
      process.env.HF_TOKEN = 'secret';
      assert.deepEqual(await fetchWeights(), weights);
    });

    it('and no other host sees the token', async () => {
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

    it('there are too many requests', async () => {
      hub.fail(WEIGHTS, { times: Infinity, status: 429 });
      const waits: number[] = [];
      await assert.rejects(
        fetchWeights({}, waits),
        /^HubError: org\/plain: [^\n]+ has had too many requests \(HTTP 429, 5 times\): try again later, or set HF_TOKEN, which is allowed more$/,
      );
      assert.deepEqual(waits, [1, 2, 4, 8]);
      await assertNoWeights();
    });

    it('we would have to wait for too long', async () => {
      const date = new Date(Date.now() + 3_600_000).toUTCString();
      hub.fail(WEIGHTS, { status: 429, headers: { 'retry-after': date } });
      const waits: number[] = [];
      await assert.rejects(fetchWeights({}, waits), /is busy \(HTTP 429\) and asks to wait 3[56]\d\d seconds$/);
      assert.deepEqual(waits, []);
    });

    it('what answers is no Hub', async () => {
      for (const body of ['<html>Please log in</html>', '{"sha":"../../etc"}', 'null']) {
        hub.fail('/revision/main', { body });
        await assert.rejects(
          openFromHub('org/plain'),
          /^HubError: org\/plain: [^\n]+ does not answer as the Hub does: [^\n]+$/,
        );
      }
      process.env.HF_ENDPOINT = 'nowhere';
      await assert.rejects(openFromHub('org/plain'), /^InputError: HF_ENDPOINT: nowhere is not a URL$/);
    });

    it('the environment holds a secret that cannot be used, which is not told', async () => {
      process.env.HF_TOKEN = 'hf_secret\nmore';
      await assert.rejects(openFromHub('org/plain'), /^InputError: HF_TOKEN holds characters that no token has$/);
      process.env.HF_ENDPOINT = 'http://me:secret@127.0.0.1:9';
      await assert.rejects(openFromHub('org/plain'), /^InputError: HF_ENDPOINT: a URL with a password is not used/);
      assert.deepEqual(hub.seen, []);
    });

    it('the list of files leads out of the cache', async () => {
      const entry = { type: 'file', path: 'config.json', size: 2, oid: '0'.repeat(40) };
      const bad = [{ path: '../config.json' }, { oid: '../../x' }, { size: -1 }, { lfs: { oid: '/etc/passwd' } }];
      for (const change of bad) {
        hub.fail(`/tree/${hub.commit('org/plain', plain)}`, { body: JSON.stringify([{ ...entry, ...change }]) });
        await assert.rejects(openFromHub('org/plain'), /is listed wrongly$/);
      }
    });

    it('the cache cannot be written', async () => {
      process.env.HF_HOME = join(here.home, 'a file');
      await writeFile(process.env.HF_HOME, '');
      await assert.rejects(openFromHub('org/plain'), /^HubError: [^\n]+ cannot be written: [^\n]+$/);
    });

    it('their weights are pickled, before any are downloaded', async () => {
      const others = Object.entries(demo).filter(([name]) => name !== WEIGHTS);
      hub.commit('org/pickled', { ...Object.fromEntries(others), 'pytorch_model.bin': weights });
      await assert.rejects(load('org/pickled'), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(
          error.message,
          /^http[^ ]+\/org\/pickled\/resolve\/[0-9a-f]+\/pytorch_model\.bin is a Python pickle, which can run code when read: convert it in Python with safetensors\.torch\.save_file\([^\n]+$/,
        );
        return true;
      });
      assert.deepEqual(hub.asked('pytorch_model.bin'), []);
    });
  });

  it('a link in the cache that leads nowhere is made anew', async () => {
    const snapshot = join(repoPath('org/plain'), 'snapshots', hub.commit('org/plain', plain));
    await mkdir(snapshot, { recursive: true });
    await symlink('../../blobs/gone', join(snapshot, WEIGHTS));
    assert.deepEqual(await fetchWeights(), weights);
  });
});
