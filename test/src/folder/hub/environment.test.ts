import assert from 'node:assert/strict';
import { chmod, lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request as sendRequest, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cachePath } from '../../../../src/folder/hub/environment.js';
import { openFromHub, readAll, useHub } from '../../../support/hubSetup.js';

const WEIGHTS = 'model.safetensors';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const FILES = { 'config.json': bytes('{}'), 'tokenizer.json': bytes('[]'), [WEIGHTS]: bytes('0123456789') };

describe('as huggingface_hub', () => {
  const here = useHub();
  const { hub } = here;
  let commit: string;
  beforeEach(() => {
    commit = hub.commit('org/plain', FILES);
  });
  const fetchWeights = async (id = 'org/plain') => String(await readAll(await openFromHub(id), WEIGHTS));
  const sent = () => new Set(hub.seen.filter(({ by }) => by === 'hub').map(({ authorization }) => authorization));
  const repoPath = (): string => join(here.home, 'hub/models--org--plain');

  describe('the token', () => {
    const PLACES: [string, (home: string) => Promise<void> | void][] = [
      ['HF_TOKEN', () => void (process.env.HF_TOKEN = ' secret\n')],
      ['HUGGING_FACE_HUB_TOKEN', () => void (process.env.HUGGING_FACE_HUB_TOKEN = 'secret')],
      ['HF_HOME/token', (home) => writeFile(join(home, 'token'), 'secret\n')],
      [
        'HF_TOKEN_PATH',
        async (home) => {
          await writeFile(join(home, 'token'), 'another');
          await writeFile(join(home, 'mine'), 'secret\r\n');
          process.env.PLACE_OF_TOKENS = home;
          process.env.HF_TOKEN_PATH = '$PLACE_OF_TOKENS/mine';
        },
      ],
    ];
    for (const [i, [name, set]] of PLACES.entries()) {
      it(`comes from ${name}, before those that follow`, async () => {
        for (const [, other] of PLACES.slice(i + 1, 3)) await other(here.home);
        if (i < 2) await writeFile(join(here.home, 'token'), 'another');
        if (i < 1) process.env.HUGGING_FACE_HUB_TOKEN = 'another';
        await set(here.home);
        await openFromHub('org/plain');
        assert.deepEqual(sent(), new Set(['Bearer secret']));
      });
    }

    it('is none without any of them, or with empty ones', async () => {
      await writeFile(join(here.home, 'token'), '\n');
      process.env.HF_TOKEN = '';
      process.env.HUGGING_FACE_HUB_TOKEN = ' ';
      await openFromHub('org/plain');
      assert.deepEqual(sent(), new Set([undefined]));
    });

    it('is not sent with HF_HUB_DISABLE_IMPLICIT_TOKEN', async () => {
      process.env.HF_TOKEN = 'secret';
      process.env.HF_HUB_DISABLE_IMPLICIT_TOKEN = 'yes';
      await openFromHub('org/plain');
      assert.deepEqual(sent(), new Set([undefined]));
    });

    it('is named by its place where the Hub refuses it', async () => {
      await writeFile(join(here.home, 'token'), 'another');
      hub.token = 'secret';
      const message = `does not accept the token in ${join(here.home, 'token')} (HTTP 401)`;
      await assert.rejects(openFromHub('org/plain'), (error: Error) => error.message.endsWith(message));
    });

    it('that cannot be read or be one is a fault, without showing it', async () => {
      process.env.HF_TOKEN_PATH = here.home;
      await assert.rejects(openFromHub('org/plain'), /^InputError: the token in [^\n]+ cannot be read: EISDIR[^\n]+$/);
      process.env.HF_TOKEN_PATH = join(here.home, 'two');
      await writeFile(process.env.HF_TOKEN_PATH, 'hf_one\nhf_two');
      await assert.rejects(
        openFromHub('org/plain'),
        /^InputError: [^\n]+\/two contains characters that are not [^_]+$/,
      );
      assert.deepEqual(hub.seen, []);
    });
  });

  it('the place of the cache is expanded', () => {
    const PLACES: [Record<string, string>, string][] = [
      [{ HF_HOME: '~/x' }, join(homedir(), 'x/hub')],
      [{ HF_HOME: '~' }, join(homedir(), 'hub')],
      [{ HF_HOME: '$HERE/x' }, '/here/x/hub'],
      [{ HF_HOME: '${HERE}x' }, '/herex/hub'],
      [{ HF_HOME: '/a$NOT_SET_HERE/x' }, '/a$NOT_SET_HERE/x/hub'],
      [{ HF_HUB_CACHE: '$HERE' }, '/here'],
      [{ HUGGINGFACE_HUB_CACHE: '~/y', HF_HOME: '/z' }, join(homedir(), 'y')],
      [{ XDG_CACHE_HOME: '$HERE' }, '/here/huggingface/hub'],
    ];
    process.env.HERE = '/here';
    for (const [variables, expected] of PLACES) {
      Reflect.deleteProperty(process.env, 'HF_HOME');
      Object.assign(process.env, variables);
      assert.equal(cachePath(), expected);
      for (const name of Object.keys(variables)) Reflect.deleteProperty(process.env, name);
    }
    Reflect.deleteProperty(process.env, 'HERE');
  });

  it('TRANSFORMERS_OFFLINE forbids requests, unless HF_HUB_OFFLINE says otherwise', async () => {
    process.env.TRANSFORMERS_OFFLINE = '1';
    await assert.rejects(openFromHub('org/plain'), /^HubError: [^\n]+, and TRANSFORMERS_OFFLINE is set$/);
    process.env.HF_HUB_OFFLINE = '0';
    await openFromHub('org/plain');
  });

  it('a complete cache that is read-only serves another revision of the same commit', async function () {
    if (process.getuid?.() === 0) return readOnlyAsRoot();
    await fetchWeights();
    hub.commit('org/plain', FILES, 'v1');
    const folders = [
      repoPath(),
      ...['refs', 'blobs', 'snapshots', `snapshots/${commit}`].map((it) => join(repoPath(), it)),
    ];
    for (const folder of folders) await chmod(folder, 0o555);
    try {
      assert.equal(await fetchWeights('org/plain@v1'), '0123456789');
    } finally {
      for (const folder of folders) await chmod(folder, 0o755);
    }
  });

  /** Root may write everywhere, so a file takes the place of the folder of references. */
  async function readOnlyAsRoot(): Promise<void> {
    await fetchWeights();
    hub.commit('org/plain', FILES, 'v1/x');
    await writeFile(join(repoPath(), 'refs/v1'), 'in the way');
    assert.equal(await fetchWeights('org/plain@v1/x'), '0123456789');
    assert.equal(await readFile(join(repoPath(), 'refs/main'), 'utf8'), commit);
  }

  it('a complete cache that cannot take the new commit is used with a note', async () => {
    await fetchWeights();
    const later = hub.commit('org/plain', { ...FILES, 'config.json': bytes('{"later": 1}') });
    await writeFile(join(repoPath(), 'snapshots', later), 'in the way');
    const notes: string[] = [];
    const folder = await openFromHub('org/plain', { onNote: (line) => notes.push(line) });
    assert.equal(String(await readAll(folder, 'config.json')), '{}');
    assert.match(notes.join('|'), /^[^\n|]+ cannot be written: [^\n|]+; using the cached copy, commit \w{8}$/);
  });

  it('without symbolic links, new blobs become the files and old ones are copied', async () => {
    process.env.HF_HUB_DISABLE_SYMLINKS = '1';
    const blobs = join(repoPath(), 'blobs');
    await fetchWeights();
    const file = join(repoPath(), 'snapshots', commit, WEIGHTS);
    assert.ok((await lstat(file)).isFile());
    assert.deepEqual(await readdir(blobs), [], 'nothing is there twice');
    hub.seen.length = 0;
    assert.equal(await fetchWeights(), '0123456789');
    assert.deepEqual(hub.asked(WEIGHTS), []);

    Reflect.deleteProperty(process.env, 'HF_HUB_DISABLE_SYMLINKS');
    hub.commit('org/plain', { ...FILES, [WEIGHTS]: bytes('other') }, 'linked');
    assert.equal(await fetchWeights('org/plain@linked'), 'other');
    process.env.HF_HUB_DISABLE_SYMLINKS = '1';
    const third = hub.commit(
      'org/plain',
      { ...FILES, 'config.json': bytes('{ }'), [WEIGHTS]: bytes('other') },
      'third',
    );
    assert.equal(await fetchWeights('org/plain@third'), 'other');
    assert.ok((await lstat(join(repoPath(), 'snapshots', third, WEIGHTS))).isFile());
    assert.equal(await fetchWeights('org/plain@linked'), 'other', 'the blob of the link is still there');
  });

  it('says once that there are no symbolic links, and nothing where there are', async () => {
    const notes: string[] = [];
    const read = async (): Promise<void> => {
      const folder = await openFromHub('org/plain', { onNote: (line) => notes.push(line) });
      await readAll(folder, WEIGHTS);
    };
    process.env.HF_HUB_DISABLE_SYMLINKS = '1';
    await read();
    assert.deepEqual(notes, [`no symbolic links in ${repoPath()}: each revision stores its files again`]);
    await read();
    assert.equal(notes.length, 1, 'a cached file needs no note');
    Reflect.deleteProperty(process.env, 'HF_HUB_DISABLE_SYMLINKS');
    hub.commit('org/plain', { ...FILES, [WEIGHTS]: bytes('linked') });
    await read();
    assert.equal(notes.length, 1);
  });

  describe('proxies', () => {
    /** What the proxy was asked for: `GET URL` or `CONNECT HOST:PORT`. */
    const asked: string[] = [];
    let proxy: Server;
    let url: string;
    before(async () => {
      proxy = createServer((request, response) => {
        asked.push(`GET ${request.url}`);
        const { pathname, search } = new URL(request.url ?? '/');
        const { hostname, port } = new URL(hub.url);
        const { headers, method } = request;
        const onward = sendRequest({ hostname, port, path: pathname + search, headers, method }, (answer) => {
          const link = String(answer.headers.link ?? '').replace(hub.url, 'http://hub.test');
          response.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...(link !== '' && { link }) });
          answer.pipe(response);
        });
        onward.end();
      });
      proxy.on('connect', ({ url: target }: { url?: string }, socket) => {
        asked.push(`CONNECT ${target}`);
        if (!target?.endsWith('.test:80')) return socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
        const { hostname, port } = new URL(hub.url);
        const onward = connect(Number(port), hostname, () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          socket.pipe(onward).pipe(socket);
        });
        onward.on('error', () => socket.destroy());
        socket.on('error', () => onward.destroy());
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    });
    after(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    beforeEach(() => (asked.length = 0));

    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']) {
      it(`${name} is asked for http, and looks up the host`, async () => {
        process.env[name] = name === 'ALL_PROXY' ? url.replace('http://', '') : url;
        process.env.HF_ENDPOINT = 'http://hub.test';
        process.env.HF_TOKEN = hub.token = 'secret';
        const folder = await openFromHub('org/plain');
        assert.equal(String(await readAll(folder, 'config.json')), '{}');
        assert.ok(asked.length > 0);
        assert.ok(
          asked.every((it) => it.includes('hub.test')),
          asked.join(),
        );
      });
    }

    it('HTTPS_PROXY is asked for https, and only that', async () => {
      process.env.HTTPS_PROXY = url;
      process.env.HF_ENDPOINT = 'https://hub.test';
      await assert.rejects(openFromHub('org/plain'), /^HubError: org\/plain: hub\.test cannot be reached: [^\n]+$/);
      assert.ok(asked.includes('CONNECT hub.test:443'), asked.join());
      asked.length = 0;
      process.env.HF_ENDPOINT = hub.url;
      await openFromHub('org/plain');
      assert.deepEqual(asked, []);
    });

    it('HTTP_PROXY is not asked for https', async () => {
      process.env.HTTP_PROXY = url;
      process.env.HF_ENDPOINT = 'https://127.0.0.1:2';
      await assert.rejects(openFromHub('org/plain'), /cannot be reached/);
      assert.deepEqual(asked, []);
    });

    const EXCEPTIONS: [string, boolean][] = [
      ['*', true],
      ['127.0.0.1', true],
      [' other.test , 127.0.0.1 ', true],
      ['http://127.0.0.1', true],
      ['all://127.0.0.1', true],
      ['https://127.0.0.1', false],
      ['127.0.0.1:1', false],
      ['7.0.0.1', false],
      ['', false],
    ];
    for (const [exceptions, isDirect] of EXCEPTIONS) {
      it(`NO_PROXY=${exceptions} ${isDirect ? 'avoids' : 'keeps'} it`, async () => {
        process.env.HTTP_PROXY = url;
        process.env.NO_PROXY = exceptions;
        await openFromHub('org/plain');
        assert.equal(asked.length === 0, isDirect);
      });
    }

    it('other kinds are refused, without showing a password', async () => {
      process.env.ALL_PROXY = 'socks5://me:secret@127.0.0.1:1';
      await assert.rejects(
        openFromHub('org/plain'),
        /^InputError: ALL_PROXY is a proxy for socks5:\/\/; only http[^_]+$/,
      );
      process.env.HTTP_PROXY = 'http://me:secret@:x';
      await assert.rejects(openFromHub('org/plain'), /^InputError: HTTP_PROXY is not a URL$/);
    });
  });
});
