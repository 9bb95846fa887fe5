import assert from 'node:assert/strict';
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import type { Handler } from '../../../src/serve/index.js';
import { listen, type NodeServer } from '../../../src/serve/nodeServer.js';
import { demoHandler, JAPAN, LONG, until } from './support.js';

/** The official client, over real sockets. */
describe('the npm package openai', () => {
  let handler: Handler;
  let server: NodeServer;
  let client: OpenAI;
  before(async () => {
    handler = await demoHandler({ apiKey: 'secret', maxSequences: 4, maxQueue: 0 });
    server = await listen(handler.fetch, { host: '127.0.0.1', port: 0 });
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'secret', maxRetries: 0 });
  });
  after(async () => {
    handler.close();
    await server.close();
  });
  const completion = { model: 'demo', prompt: JAPAN, temperature: 0 };
  const chat = {
    model: 'demo',
    messages: [{ role: 'user' as const, content: 'What is the capital of Japan?' }],
    temperature: 0,
  };
  /** The client has no field for `ignore_eos`, but sends what it is given. */
  const long = { model: 'demo', ...LONG };

  it('lists models', async () => {
    const { data } = await client.models.list();
    assert.deepEqual(
      data.map(({ id }) => id),
      ['demo'],
    );
    assert.equal((await client.models.retrieve('demo')).object, 'model');
  });

  it('completes, with a request id', async () => {
    const answer = await client.completions.create(completion);
    assert.equal(answer.choices[0].text, ' Tokyo');
    assert.match(answer._request_id!, /^[0-9a-f]{32}$/);
  });

  it('chats', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 2 });
    assert.equal(choices[0].message.content, 'Tokyo');
    assert.equal(choices[0].logprobs!.content!.length, usage!.completion_tokens);
  });

  it('streams completions and chats', async () => {
    let text = '';
    for await (const chunk of await client.completions.create({ ...completion, stream: true })) {
      text += chunk.choices[0].text;
    }
    assert.equal(text, ' Tokyo');
    const stream = client.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
    const { choices, usage } = await stream.finalChatCompletion();
    assert.equal(choices[0].message.content, 'Tokyo');
    assert.equal(choices[0].finish_reason, 'stop');
    assert.equal(usage!.completion_tokens, 4);
  });

  it('12: hangs up in mid-stream, which frees the place', async () => {
    const stream = await client.completions.create({ ...long, n: 4, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'text_completion');
      break;
    }
    await until(() => handler.stats!.active === 0);
    const aborting = new AbortController();
    const waiting = client.completions.create({ ...long, n: 4 }, { signal: aborting.signal });
    await until(() => handler.stats!.active === 4);
    aborting.abort();
    await assert.rejects(waiting, APIUserAbortError);
    await until(() => handler.stats!.active === 0);
  });

  it('14: throws errors by class', async () => {
    const rejected = async (body: object, Kind: new (...args: never[]) => Error, expected: object) =>
      assert.rejects(client.completions.create({ ...completion, ...body }), (error) => {
        assert.ok(error instanceof Kind, String(error));
        for (const [key, value] of Object.entries(expected))
          assert.equal((error as unknown as Record<string, unknown>)[key], value);
        return true;
      });
    await rejected({ model: 'gpt' }, NotFoundError, { code: 'model_not_found', param: 'model' });
    await rejected({ prompt: Array(200).fill(48) }, BadRequestError, { code: 'context_length_exceeded' });
    await rejected({ best_of: 3 }, BadRequestError, { param: 'best_of', type: 'invalid_request_error' });
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'wrong' });
    await assert.rejects(stranger.models.list(), AuthenticationError);
  });

  it('19: retries 429 until there is room', async () => {
    const streams = await Promise.all(
      [1, 2, 3, 4].map(() => client.completions.create({ ...long, stream: true, max_tokens: 100 })),
    );
    await until(() => handler.stats!.active === 4);
    await assert.rejects(client.completions.create(completion), RateLimitError);
    const patient = client.completions.create(completion, { maxRetries: 2 });
    for (const stream of streams) stream.controller.abort();
    assert.equal((await patient).choices[0].text, ' Tokyo');
  });
});
