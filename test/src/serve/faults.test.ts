import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { DeviceError } from '../../../accel/errors.js';
import { LanguageModel } from '../../../src/languageModel.js';
import { createHandler, type Handler } from '../../../src/serve/index.js';
import { listen, type NodeServer } from '../../../src/serve/nodeServer.js';
import { childEnvironment, emergent, MAIN } from '../../support/cli.js';
import { complete, demo, demoHandler, JAPAN, LONG, request, until, type Answer } from './support.js';

/** Clients and devices that misbehave, over real sockets. */
describe('faults', () => {
  let handler: Handler;
  let server: NodeServer;
  before(async () => {
    handler = await demoHandler();
    server = await listen(handler.fetch, { host: '127.0.0.1', port: 0, headersTimeout: 300, requestTimeout: 600 });
  });
  after(async () => {
    handler.close();
    await server.close();
  });

  function open(): Promise<Socket> {
    return new Promise((resolve) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => resolve(socket));
      socket.on('error', () => undefined);
    });
  }

  /** Sends bytes and reads until the server closes. */
  async function talk(text: string | Buffer): Promise<string> {
    const socket = await open();
    let answer = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
    socket.write(text);
    await new Promise((resolve) => socket.on('close', resolve));
    return answer;
  }

  const head = (length: number, more = '') =>
    `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`;
  const isAlive = async () =>
    assert.equal((await complete(handler, { prompt: JAPAN, temperature: 0 })).choices[0].text, ' Tokyo');

  it('18: slow headers and a slow body get 408', async () => {
    const [headers, body] = await Promise.all([talk('GET /health HTTP/1.1\r\nhost: local'), talk(head(100) + '{"a"')]);
    for (const answer of [headers, body]) assert.match(answer, /^HTTP\/1\.1 408 [^]*"type":"invalid_request_error"/);
  });

  it('a body that is cut off harms nobody', async () => {
    const socket = await open();
    socket.write(head(100) + '{"model": "demo"');
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.destroy();
    await isAlive();
  });

  it('18: a body of 5 MB gets 413, with and without a declared length', async () => {
    const text = JSON.stringify({ model: 'demo', prompt: 'a'.repeat(5e6) });
    const headers = { 'content-type': 'application/json' };
    const whole = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers, body: text });
    assert.equal(whole.status, 413);
    const stream = new Blob([text]).stream();
    const init = { method: 'POST', headers, body: stream, duplex: 'half' } as RequestInit;
    assert.equal((await fetch(`${server.url}/v1/completions`, init)).status, 413);
  });

  it('14: what is not HTTP gets 400, and a strange Host 403', async () => {
    assert.match(await talk('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 [^]*"error"/);
    assert.match(
      await talk('GET /health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n'),
      /^HTTP\/1\.1 403 /,
    );
    assert.match(await talk('GET /health HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.match(await talk(`GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  });

  it('a reader who does not read pauses only itself', async () => {
    const own = await demoHandler();
    const response = await own.fetch(request('/v1/completions', { model: 'demo', ...LONG, stream: true }));
    await until(() => own.stats!.generatedTokens === 16);
    await complete(own, { ...LONG, prompt: 'Question: Which' });
    assert.equal(own.stats!.generatedTokens, 16 + 100);
    assert.equal(own.stats!.active, 1);
    assert.match(await response.text(), /\[DONE\]\n\n$/);
    assert.equal(own.stats!.active, 0);
    own.close();
  });

  it('a device that dies ends everything with 503 and says so once', async () => {
    const { model, tokenizer, report } = await demo();
    const dying = new LanguageModel(model, tokenizer, report, 'simd:1');
    const failures: Error[] = [];
    const own = createHandler(dying, { onFailure: (error) => failures.push(error) });
    const forwardBatch = dying.forwardBatch.bind(dying);
    let steps = 0;
    dying.forwardBatch = (batch) =>
      ++steps > 10 ? Promise.reject(new DeviceError('a thread died')) : forwardBatch(batch);
    const stream = await own.fetch(request('/v1/completions', { model: 'demo', ...LONG, stream: true }));
    const [text, answer] = await Promise.all([
      stream.text(),
      own.fetch(request('/v1/completions', { model: 'demo', ...LONG })),
    ]);
    assert.match(text, /data: {"error":{"message":"the model cannot compute any more: a thread died"/);
    assert.equal(answer.status, 503);
    assert.equal((await own.fetch(request('/health'))).status, 503);
    assert.deepEqual(
      failures.map(({ message }) => message),
      ['a thread died'],
    );
  });

  it('while the model loads, everything gets 503', async () => {
    let settle: (model: LanguageModel) => void = () => undefined;
    const own = createHandler(new Promise<LanguageModel>((resolve) => (settle = resolve)));
    const loading = await own.fetch(request('/health'));
    assert.deepEqual([loading.status, ((await loading.json()) as Answer).error.code], [503, 'loading']);
    settle(await demo());
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal((await own.fetch(request('/health'))).status, 200);
  });

  it('a port that is taken gives one line and exit code 2', async () => {
    const { code, stderr } = await emergent(['serve', '--port', new URL(server.url).port]);
    assert.equal(code, 2);
    assert.match(stderr, /^emergent: cannot listen on 127\.0\.0\.1, port \d+: [^\n]+\n$/);
  });

  it('25: SIGTERM with 20 open streams ends them with an error event, in under 2 s', async () => {
    const tsx = import.meta.resolve('tsx');
    const args = ['--import', tsx, MAIN, 'serve', '--port', '0', '--max-sequences', '2', '--quiet'];
    const child = spawn(process.execPath, args, { env: childEnvironment() });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const closed = new Promise((resolve) => child.on('close', resolve));
    try {
      await until(() => stderr.includes('listening on'));
      const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(stderr)![1];
      const body = JSON.stringify({ model: 'demo', ...LONG, n: 10, stream: true });
      const headers = { 'content-type': 'application/json' };
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => fetch(`${url}/v1/completions`, { method: 'POST', headers, body })),
      );
      const start = Date.now();
      child.kill('SIGTERM');
      for (const answer of answers) assert.match(await answer.text(), /data: {"error":.*shutting down/);
      assert.equal(await closed, 0);
      assert.ok(Date.now() - start < 2000);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
