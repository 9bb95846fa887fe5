import assert from 'node:assert/strict';
import dns from 'node:dns';
import { createServer, type AddressInfo } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { HubError } from '../../../../src/lib/errors.js';
import { describeFetchError, isTransient } from '../../../../src/folder/fetchFault.js';
import type { Fault } from '../../../support/hub.js';
import { openFromHub, readAll, useHub } from '../../../support/hubSetup.js';

const WEIGHTS = 'model.safetensors';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Fails if something does not happen within two seconds. */
async function soon<T>(event: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within 2 seconds`)), 2000);
  });
  return Promise.race([event, late]).finally(() => clearTimeout(timer));
}

/** An answer that begins well and then goes on as `send` says; `closed` resolves when we end the connection. */
function held(send: (response: ServerResponse) => void): { fault: Fault; closed: Promise<void> } {
  let close: () => void;
  const closed = new Promise<void>((resolve) => (close = resolve));
  const answer = (_: IncomingMessage, response: ServerResponse): void => {
    response.on('close', () => close());
    send(response);
  };
  return { fault: { times: Infinity, answer }, closed };
}

describe('answers of a Hub', () => {
  const { hub } = useHub();
  let commit: string;
  before(() => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    commit = hub.commit('org/plain', { 'config.json': bytes('{}'), [WEIGHTS]: bytes('0123456789') });
  });

  const open = (waits: number[] = []) => openFromHub('org/plain', {}, waits);

  for (const path of ['/revision/main', '/tree/']) {
    const ending = (): string => (path === '/tree/' ? path + commit : path);

    it(`may not stall half-way: ${path}`, async () => {
      const { fault, closed } = held((response) => response.writeHead(200, JSON_TYPE).write('[{"type":"fi'));
      hub.fail(ending(), fault);
      const waits: number[] = [];
      await assert.rejects(
        soon(open(waits), 'the error'),
        /^HubError: org\/plain: 127\.0\.0\.1:\d+ cannot be reached: no data for 0\.3 seconds$/,
      );
      assert.deepEqual(waits, [], 'waiting longer would not help');
      await soon(closed, 'the end of the connection');
    });

    it(`may not be a gzip bomb: ${path}`, async () => {
      const bomb = gzipSync(Buffer.alloc(2 ** 26, ' '));
      assert.ok(bomb.length < 100_000);
      hub.fail(ending(), {
        answer: (_, response) => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(bomb),
      });
      await assert.rejects(open(), /^HubError: org\/plain: [^ ]+ sent a list of files of more than 16 MiB$/);
    });

    it(`may not go on for ever: ${path}`, async () => {
      const { fault, closed } = held((response) => {
        response.writeHead(200, JSON_TYPE);
        const chunk = Buffer.alloc(2 ** 20, ' ');
        const send = (): void => {
          if (response.write(chunk)) setImmediate(send);
          else response.once('drain', send);
        };
        send();
      });
      hub.fail(ending(), fault);
      await assert.rejects(open(), /sent a list of files of more than 16 MiB$/);
      await soon(closed, 'the end of the connection');
    });
  }

  it('may not have pages without end', async () => {
    let pages = 0;
    hub.fail(`/tree/${commit}`, {
      times: Infinity,
      answer: ({ url }, response) => {
        pages++;
        const next = `${hub.url}${(url ?? '').split('?')[0]}?cursor=${pages}`;
        response.writeHead(200, { ...JSON_TYPE, link: `<${next}>; rel="next"` }).end('[]');
      },
    });
    await assert.rejects(open(), /^HubError: org\/plain: [^ ]+ sent a list of files of more than 100 pages$/);
    assert.equal(pages, 99, 'the first answer was the commit');
  });

  it('are requested again after a lost connection', async () => {
    const fault: Fault = {
      answer: (_, response) => {
        response.writeHead(200, { ...JSON_TYPE, 'content-length': 1000 });
        response.write('[', () => response.destroy());
      },
    };
    hub.fail('/revision/main', fault);
    hub.fail(`/tree/${commit}`, fault);
    const waits: number[] = [];
    assert.ok((await open(waits)).files?.includes(WEIGHTS));
    assert.deepEqual(waits, [1, 1]);
  });

  const THROWN_AWAY: [string, Record<string, string>, number, RegExp][] = [
    ['of a wrong length', { 'content-length': '5' }, 200, /is 5 bytes on/],
    ['of a range nobody wants', { 'content-range': 'bytes 3-9/10' }, 206, /sent a different range/],
    ['that are a refusal', { 'content-length': '1000' }, 404, /HTTP 404/],
    ['that ask for a long wait', { 'retry-after': '1000' }, 503, /asks to wait 1000 seconds/],
  ];
  for (const [what, headers, status, message] of THROWN_AWAY) {
    it(`${what} are cut off`, async () => {
      const { fault, closed } = held((response) => response.writeHead(status, headers).write('abc'));
      hub.fail(WEIGHTS, fault);
      const folder = await open();
      await assert.rejects(soon(readAll(folder, WEIGHTS), 'the error'), message);
      await soon(closed, 'the end of the connection');
    });
  }
});

describe('requests that cannot succeed', () => {
  useHub();
  const notTls = createServer((socket) => {
    socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).on('error', () => undefined);
  });
  let port: number;
  before(async () => {
    await new Promise<void>((resolve) => notTls.listen(0, '127.0.0.1', resolve));
    port = (notTls.address() as AddressInfo).port;
  });
  after(() => notTls.close());

  const { lookup } = dns;
  afterEach(() => (dns.lookup = lookup));
  /** Lets every look-up of a host fail. */
  function failLookups(code: string): void {
    dns.lookup = ((host: string, ...rest: unknown[]) => {
      const error = Object.assign(new Error(`getaddrinfo ${code} ${host}`), { code, syscall: 'getaddrinfo' });
      setImmediate(() => (rest.at(-1) as (error: Error) => void)(error));
    }) as typeof dns.lookup;
  }

  const HOPELESS: [string, () => string, RegExp][] = [
    ['an unknown host', () => 'http://nowhere.test', /nowhere\.test cannot be reached: getaddrinfo ENOTFOUND nowhere/],
    ['a port that fetch forbids', () => 'http://127.0.0.1:6000', /127\.0\.0\.1:6000 cannot be reached: bad port$/],
    ['a server without TLS', () => `https://127.0.0.1:${port}`, /cannot be reached: .*(?:SSL|ssl|TLS)/],
  ];
  for (const [what, endpoint, message] of HOPELESS) {
    it(`are sent once: ${what}`, async () => {
      failLookups('ENOTFOUND');
      process.env.HF_ENDPOINT = endpoint();
      const waits: number[] = [];
      await assert.rejects(openFromHub('org/plain', {}, waits), (error: Error) => {
        assert.ok(error instanceof HubError);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
      assert.deepEqual(waits, []);
    });
  }

  for (const code of ['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
    it(`are sent once: ${code}`, () => {
      const cause = Object.assign(new Error('the certificate\nis bad'), { code });
      const error = new TypeError('fetch failed', { cause });
      assert.equal(isTransient(error), false);
      assert.equal(describeFetchError(error), 'the certificate\\u{a}is bad');
    });
  }

  it('but a name server that is away for now is asked again', async () => {
    failLookups('EAI_AGAIN');
    process.env.HF_ENDPOINT = 'http://nowhere.test';
    const waits: number[] = [];
    await assert.rejects(openFromHub('org/plain', {}, waits), /getaddrinfo EAI_AGAIN/);
    assert.deepEqual(waits, [1, 2, 4, 8]);
  });

  it('but a refused connection is tried again', async () => {
    process.env.HF_ENDPOINT = 'http://127.0.0.1:2';
    const waits: number[] = [];
    await assert.rejects(openFromHub('org/plain', {}, waits), /cannot be reached: connect ECONNREFUSED/);
    assert.deepEqual(waits, [1, 2, 4, 8]);
  });
});
