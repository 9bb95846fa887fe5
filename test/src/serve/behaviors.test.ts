import assert from 'node:assert/strict';
import { templateFormat, type Handler } from '../../../src/serve/index.js';
import { surprise } from '../../../src/perplexity.js';
import { chat, complete, demo, demoHandler, events, JAPAN, LONG, request, until, type Answer } from './support.js';

/** The 25 promises of the server, by number, against the handler without sockets. */
describe('serve', () => {
  let handler: Handler;
  before(async () => {
    handler = await demoHandler();
  });
  after(() => handler.close());

  async function refused(path: string, body: unknown, status: number): Promise<Answer['error']> {
    const response = await handler.fetch(request(path, body));
    const { error } = (await response.json()) as Answer;
    assert.equal(response.status, status, error.message);
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
    return error;
  }
  const body = { model: 'demo', prompt: JAPAN, temperature: 0 };

  it('1: takes a prompt as a text, texts, ids or lists of ids; refuses ids outside the vocabulary', async () => {
    const ids = (await demo()).tokenizer.encode(JAPAN);
    for (const prompt of [JAPAN, [JAPAN, JAPAN], ids, [ids, ids]]) {
      const { choices } = await complete(handler, { prompt, temperature: 0 });
      assert.ok(choices.length === 1 || choices.length === 2);
      for (const [index, choice] of choices.entries()) {
        assert.equal(choice.text, ' Tokyo');
        assert.equal(choice.index, index);
      }
    }
    const error = await refused('/v1/completions', { ...body, prompt: [[1, 1024]] }, 400);
    assert.equal(error.param, 'prompt');
    assert.match(error.message, /1024/);
    for (const prompt of [[], '', [[]], [''], [1.5], [-1], {}, [1, 'a'], [null]]) {
      assert.equal((await refused('/v1/completions', { ...body, prompt }, 400)).param?.split('.')[0], 'prompt');
    }
  });

  it('2: echo with logprobs has an entry for every token, as our own scoring has', async () => {
    const model = await demo();
    const ids = model.tokenizer.encode(JAPAN);
    const { choices } = await complete(handler, {
      prompt: [ids],
      echo: true,
      logprobs: 1,
      max_tokens: 1,
      temperature: 0,
    });
    const { token_logprobs: own, tokens, top_logprobs: top } = choices[0].logprobs;
    assert.equal(own.length, ids.length + 1);
    assert.equal(tokens.length, own.length);
    assert.deepEqual([own[0], top[0]], [null, null]);
    const session = await model.openSession();
    const { data, shape } = await session.forward(ids, { logits: 'all' });
    for (let t = 1; t < ids.length; t++) {
      const truth = -surprise(data.subarray((t - 1) * shape[1], t * shape[1]), ids[t]);
      assert.ok(Math.abs(own[t]! - truth) < 1e-12, `token ${t}: ${own[t]}, not ${truth}`);
    }
    const none = await complete(handler, { prompt: JAPAN, echo: true, logprobs: 1, max_tokens: 0 });
    assert.deepEqual(none.choices[0].logprobs.token_logprobs, own.slice(0, -1));
    assert.equal(none.choices[0].text, JAPAN);
    assert.equal(none.usage.completion_tokens, 0);
    assert.equal((await refused('/v1/completions', { ...body, max_tokens: 0 }, 400)).param, 'max_tokens');
  });

  it('3: logprobs have the legacy shape on completions and content[] on chat', async () => {
    const { choices } = await complete(handler, { ...body, logprobs: 2, echo: true });
    const { tokens, text_offset: offsets, top_logprobs: top } = choices[0].logprobs;
    tokens.slice(0, -1).forEach((token, i) => assert.ok(choices[0].text.startsWith(token, offsets[i]), token));
    const named = top.slice(1).map((one) => Object.keys(one!));
    for (const [i, texts] of named.entries()) {
      const shown = JSON.stringify(texts);
      assert.ok(texts.includes(tokens[i + 1]), shown);
      assert.ok(texts.length <= 3, shown); // the token itself may be a third, and two ids may have one text
    }
    assert.ok(named.flat().length > 1.5 * named.length, JSON.stringify(named));
    const messages = [{ role: 'user', content: 'What is the capital of Japan?' }];
    const answer = await chat(handler, { messages, temperature: 0, logprobs: true, top_logprobs: 3 });
    const { content } = answer.choices[0].logprobs as unknown as { content: Record<string, unknown>[] };
    assert.equal(content.length, answer.usage.completion_tokens);
    for (const entry of content) {
      assert.deepEqual(Object.keys(entry), ['token', 'logprob', 'bytes', 'top_logprobs']);
      assert.equal((entry.top_logprobs as unknown[]).length, 3);
    }
  });

  it('4: a greedy token has the same float as the largest of top_logprobs', async () => {
    const { choices } = await complete(handler, { ...LONG, logprobs: 5 });
    const { token_logprobs: own, top_logprobs: top } = choices[0].logprobs;
    own.forEach((logprob, i) => assert.equal(logprob, Math.max(...Object.values(top[i]!))));
  });

  it('5: refuses what it does not support, by name', async () => {
    for (const [field, value] of Object.entries({ best_of: 2, suffix: 'x', guided_json: {}, logprobs: 21, n: 0 })) {
      assert.equal((await refused('/v1/completions', { ...body, [field]: value }, 400)).param, field);
    }
    const messages = [{ role: 'user', content: 'Hi' }];
    for (const [field, value] of Object.entries({
      tools: [{}],
      response_format: { type: 'json_object' },
      echo: true,
    })) {
      const error = await refused('/v1/chat/completions', { model: 'demo', messages, [field]: value }, 400);
      assert.equal(error.param, field);
    }
    assert.equal((await complete(handler, { ...body, best_of: 1, suffix: null, n: null })).choices[0].text, ' Tokyo');
  });

  it('6: every chunk has id, object, created, model and choices; finish_reason is null until the last', async () => {
    const { chunks } = await events(handler, '/v1/completions', body);
    assert.ok(chunks.length > 2);
    for (const [i, chunk] of chunks.entries()) {
      assert.equal(chunk.id, chunks[0].id);
      assert.equal(chunk.object, 'text_completion');
      assert.equal(chunk.model, 'demo');
      assert.equal(typeof chunk.created, 'number');
      assert.equal(chunk.choices[0].finish_reason, i === chunks.length - 1 ? 'stop' : null);
    }
    assert.equal(chunks.map(({ choices }) => choices[0].text).join(''), ' Tokyo');
  });

  it('7: include_usage adds a last chunk without choices', async () => {
    const { chunks } = await events(handler, '/v1/completions', { ...body, stream_options: { include_usage: true } });
    const last = chunks.at(-1)!;
    assert.deepEqual(last.choices, []);
    const { usage } = await complete(handler, body);
    assert.equal(last.usage.total_tokens, usage.total_tokens);
    assert.ok(chunks.slice(0, -1).every((chunk) => (chunk.usage as unknown) === null));
  });

  it('8: events are data lines, end with [DONE] and come one by one', async () => {
    const response = await handler.fetch(request('/v1/completions', { ...body, stream: true }));
    assert.match(response.headers.get('content-type')!, /^text\/event-stream/);
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    const parts: string[] = [];
    for await (const part of response.body as ReadableStream<Uint8Array>) parts.push(new TextDecoder().decode(part));
    assert.equal(parts.at(-1), 'data: [DONE]\n\n');
    for (const part of parts) assert.match(part, /^data: [^\n]+\n\n$/);
  });

  it('9: the first chat chunk has the role, the last no content', async () => {
    const messages = [{ role: 'user', content: 'What is the capital of Japan?' }];
    const { chunks } = await events(handler, '/v1/chat/completions', { messages, temperature: 0 });
    assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '' });
    assert.deepEqual(chunks.at(-1)!.choices[0].delta, {});
    assert.equal(chunks.at(-1)!.choices[0].finish_reason, 'stop');
    assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? '').join(''), 'Tokyo');
  });

  it('11: stop strings end the text wherever tokens begin; up to 4, none empty', async () => {
    const { choices } = await complete(handler, LONG);
    const { text } = choices[0];
    for (let start = 0; start < 20; start += 3) {
      const stop = text.slice(start, start + 14); // some five tokens
      const answer = await complete(handler, { ...LONG, stop: ['never', stop] });
      assert.equal(answer.choices[0].text, text.slice(0, text.indexOf(stop)));
      assert.equal(answer.choices[0].finish_reason, 'stop');
      const { chunks } = await events(handler, '/v1/completions', { ...LONG, stop });
      assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), answer.choices[0].text);
    }
    const end = text.slice(-3);
    const held = await complete(handler, { ...LONG, stop: `${end}never` });
    assert.equal(held.choices[0].text, text, 'what was held back comes at the end');
    assert.equal((await refused('/v1/completions', { ...body, stop: '' }, 400)).param, 'stop');
    assert.equal((await refused('/v1/completions', { ...body, stop: ['a', 'b', 'c', 'd', 'e'] }, 400)).param, 'stop');
  });

  it('12: a client that goes away cancels its request in the queue and in decoding, streaming or not', async () => {
    const narrow = await demoHandler({ maxSequences: 1 });
    for (const stream of [true, false]) {
      const aborts = [new AbortController(), new AbortController()];
      const answers = aborts.map(({ signal }) =>
        narrow.fetch(request('/v1/completions', { model: 'demo', ...LONG, n: 50, stream }, { signal })),
      );
      await until(() => narrow.stats?.active === 1 && narrow.stats.queuedRequests === 2);
      aborts[1].abort();
      await until(() => narrow.stats!.queuedSequences < 50);
      aborts[0].abort();
      await until(() => narrow.stats!.active === 0 && narrow.stats!.queuedSequences === 0);
      await Promise.all(answers);
    }
    const response = await narrow.fetch(request('/v1/completions', { model: 'demo', ...LONG, stream: true }));
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await until(() => narrow.stats!.active === 0);
    assert.ok(narrow.stats!.generatedTokens < 400, `${narrow.stats!.generatedTokens} tokens`);
    narrow.close();
  });

  it('13: too long a prompt is refused with both numbers before a stream starts', async () => {
    const prompt = Array.from({ length: 129 }, () => 48);
    for (const stream of [false, true]) {
      const error = await refused('/v1/completions', { ...body, prompt, stream }, 400);
      assert.equal(error.code, 'context_length_exceeded');
      assert.match(error.message, /129 .*128/);
    }
  });

  it('14: errors have one form: 404, 405, 413, 415, malformed JSON', async () => {
    await refused('/v1/nothing', body, 404);
    await refused('/v1/completions', undefined, 405);
    await refused('/v1/completions', '{"model": ', 400);
    await refused('/v1/completions', '[]', 400);
    await refused('/v1/completions', '['.repeat(100_000), 400);
    const text = await handler.fetch(request('/v1/completions', body, { headers: { 'content-type': 'text/plain' } }));
    assert.equal(text.status, 415);
    const invalid = await handler.fetch(
      new Request('http://localhost/v1/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: new Uint8Array([0x22, 0xff, 0x22]),
      }),
    );
    assert.equal(invalid.status, 400);
    assert.match(((await invalid.json()) as Answer).error.message, /UTF-8/);
  });

  it('15: another model is not found', async () => {
    assert.equal((await refused('/v1/completions', { ...body, model: 'gpt' }, 404)).code, 'model_not_found');
    assert.equal((await refused('/v1/models/gpt', undefined, 404)).code, 'model_not_found');
    const list = (await (await handler.fetch(request('/v1/models'))).json()) as Answer;
    assert.deepEqual(
      list.data.map(({ id }) => id),
      ['demo'],
    );
    assert.equal((await handler.fetch(request('/v1/models/demo'))).status, 200);
  });

  it('16: CORS answers OPTIONS, reflects headers, and allows pages of this machine', async () => {
    const asked = {
      origin: 'http://localhost:3000',
      'access-control-request-headers': 'x-stainless-os, authorization',
    };
    const preflight = await handler.fetch(request('/v1/completions', undefined, { method: 'OPTIONS', headers: asked }));
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), asked.origin);
    assert.equal(preflight.headers.get('access-control-allow-headers'), asked['access-control-request-headers']);
    const stream = await handler.fetch(request('/v1/completions', { ...body, stream: true }, { headers: asked }));
    assert.equal(stream.headers.get('access-control-allow-origin'), asked.origin);
    await stream.body!.cancel();
    for (const origin of ['https://example.org', 'http://localhost.example.org', 'null']) {
      const answer = await handler.fetch(request('/v1/models', undefined, { headers: { origin } }));
      assert.equal(answer.headers.get('access-control-allow-origin'), null, origin);
    }
    const open = await demoHandler({ cors: 'https://example.org' });
    const headers = { origin: 'https://example.org' };
    const answer = await open.fetch(request('/v1/models', undefined, { headers }));
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://example.org');
  });

  it('17: the Host must be a name of this machine, and the key must match if there is one', async () => {
    assert.equal((await handler.fetch(new Request('http://evil.example/v1/models'))).status, 403);
    for (const host of ['127.0.0.1:8080', '[::1]:80', 'demo.localhost']) {
      assert.equal((await handler.fetch(new Request(`http://${host}/v1/models`))).status, 200);
    }
    const locked = await demoHandler({ apiKey: 'secret', hosts: 'any' });
    const statuses: number[] = [];
    for (const authorization of ['', 'Bearer secre', 'Bearer secrets', 'Bearer secret']) {
      const headers = { authorization };
      statuses.push((await locked.fetch(new Request('http://example.org/v1/models', { headers }))).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 200]);
  });

  it('18: a body over 4 MB is refused', async () => {
    await refused('/v1/completions', { ...body, prompt: 'a'.repeat(5e6) }, 413);
  });

  it('19: the queue is bounded, and a large request does not hold up a small one', async () => {
    const narrow = await demoHandler({ maxSequences: 1, maxQueue: 1 });
    const large = complete(narrow, { ...LONG, max_tokens: 20, n: 8 });
    await until(() => narrow.stats?.active === 1);
    const order: string[] = [];
    const small = complete(narrow, { ...LONG, max_tokens: 1 }).catch(() => undefined);
    await Promise.race([small, new Promise((resolve) => setTimeout(resolve, 0))]);
    const full = await narrow.fetch(request('/v1/completions', body));
    assert.equal(full.status, 429);
    assert.equal(full.headers.get('retry-after'), '1');
    await Promise.all([large.then(() => order.push('large')), small]);
    narrow.close();

    const fair = await demoHandler({ maxSequences: 1 });
    const done: string[] = [];
    await Promise.all([
      complete(fair, { ...LONG, max_tokens: 20, n: 8 }).then(() => done.push('large')),
      complete(fair, { ...LONG, max_tokens: 1 }).then(() => done.push('small')),
    ]);
    assert.deepEqual(done, ['small', 'large']);
    fair.close();
  });

  it('20: sequences share steps, and join while others run', async () => {
    const own = await demoHandler();
    const first = complete(own, LONG);
    await until(() => own.stats!.generatedTokens > 5);
    await Promise.all([first, ...Array.from({ length: 7 }, () => complete(own, { ...LONG, max_tokens: 50 }))]);
    const { steps, generatedTokens } = own.stats!;
    assert.equal(generatedTokens, 100 + 7 * 50);
    assert.ok(steps < 180, `${steps} steps`);
    own.close();
  });

  it('21: a common beginning is computed once and reported', async () => {
    const own = await demoHandler();
    const scored = { prompt: JAPAN, echo: true, logprobs: 2, max_tokens: 1, temperature: 0 };
    const first = await complete(own, scored);
    assert.equal(first.usage.prompt_tokens_details.cached_tokens, 0);
    const again = await complete(own, scored);
    assert.ok(again.usage.prompt_tokens_details.cached_tokens >= 17);
    assert.deepEqual(again.choices, first.choices);
    const fewer = await complete(own, { ...scored, logprobs: 1 });
    assert.deepEqual(fewer.choices, (await complete(await demoHandler(), { ...scored, logprobs: 1 })).choices);
    const more = await complete(own, { ...scored, logprobs: 3 });
    assert.deepEqual(more.choices, (await complete(await demoHandler(), { ...scored, logprobs: 3 })).choices);
    const other = await complete(own, { ...scored, prompt: `${JAPAN} Paris` });
    assert.ok(other.usage.prompt_tokens_details.cached_tokens >= 17);
    const fresh = await complete(await demoHandler(), { ...scored, prompt: `${JAPAN} Paris` });
    assert.deepEqual(other.choices, fresh.choices);

    const crowd = await demoHandler();
    const before = (await crowd.fetch(request('/health'))).status;
    assert.equal(before, 200);
    const four = [' Tokyo', ' Paris', ' Rome', ' Oslo'].map((end) => JAPAN + end);
    const { usage } = await complete(crowd, { ...scored, prompt: four });
    assert.ok(usage.prompt_tokens_details.cached_tokens >= 3 * 17, 'of four at once, three wait for the first');
  });

  it('22: n and seed repeat a text; temperature 0 is greedy; penalties and logit_bias act', async () => {
    const sampled = { prompt: 'Question:', temperature: 1, n: 4, max_tokens: 12, ignore_eos: true };
    const texts = async (extra: object) =>
      (await complete(handler, { ...sampled, ...extra })).choices.map(({ text }) => text);
    const first = await texts({ seed: 7 });
    assert.deepEqual(await texts({ seed: 7 }), first);
    assert.notDeepEqual(await texts({ seed: 8 }), first);
    assert.equal(new Set(first).size > 1, true);
    assert.equal(new Set(await texts({ seed: 7, temperature: 0 })).size, 1);
    assert.deepEqual(await texts({ seed: 9, top_k: 1 }), await texts({ temperature: 0 }));
    assert.deepEqual(await texts({ seed: 9, top_p: 1e-6 }), await texts({ temperature: 0 }));
    assert.equal((await texts({ logit_bias: { 48: 100 }, n: 1, temperature: 0 }))[0], '0'.repeat(12));
    const error = await refused('/v1/completions', { ...body, logit_bias: { 5000: 1 } }, 400);
    assert.equal(error.param, 'logit_bias');
  });

  it('23: usage is right, and max_tokens is capped by the context', async () => {
    const ids = (await demo()).tokenizer.encode(LONG.prompt);
    const { choices, usage } = await complete(handler, { ...LONG, max_tokens: 10_000 });
    assert.equal(choices[0].finish_reason, 'length');
    assert.equal(usage.prompt_tokens, ids.length);
    assert.equal(usage.completion_tokens, 128 - ids.length + 1);
    assert.equal((await complete(handler, { ...LONG, max_tokens: null })).usage.completion_tokens, 16);
    const full = await complete(handler, { ...LONG, prompt: Array.from({ length: 128 }, () => 48) });
    assert.equal(full.usage.completion_tokens, 1);
    const several = await complete(handler, { ...LONG, max_tokens: 3, n: 2 });
    assert.deepEqual([several.usage.prompt_tokens, several.usage.completion_tokens], [ids.length, 6]);
  });

  it('24: every answer has a request id and an access line', async () => {
    const lines: string[] = [];
    const own = await demoHandler({ log: (line) => lines.push(line) });
    const response = await own.fetch(request('/v1/completions', { ...body, stream: true }));
    await response.text();
    const missing = await own.fetch(request('/no\u001bthing'));
    await missing.text();
    assert.match(lines[0], new RegExp(`^POST /v1/completions 200 \\d+ ms ${response.headers.get('x-request-id')}$`));
    assert.match(lines[1], /^GET \/no%1Bthing 404 /);
    assert.equal(lines.length, 2);
  });

  it('25: close ends streams with an error event and refuses new requests', async () => {
    const own = await demoHandler();
    const response = await own.fetch(request('/v1/completions', { ...LONG, model: 'demo', stream: true, n: 20 }));
    const reading = response.text();
    await until(() => own.stats!.generatedTokens > 100);
    own.close();
    const text = await reading;
    assert.match(text, /\n\ndata: {"error":{"message":"the server is shutting down"[^\n]*}}\n\n$/);
    assert.doesNotMatch(text, /\[DONE\]/);
    assert.equal((await own.fetch(request('/health'))).status, 503);
  });

  it('25: chat follows the model card, or the template of the model', async () => {
    const messages = [
      { role: 'user', content: 'What is the capital of Japan?' },
      { role: 'assistant', content: 'Tokyo' },
      { role: 'user', content: [{ type: 'text', text: 'What is the capital of France?' }] },
    ];
    const { choices, usage } = await chat(handler, { messages, temperature: 0 });
    assert.equal(choices[0].message.content, 'Paris');
    const prompt =
      'Question: What is the capital of Japan?\nAnswer: Tokyo\nQuestion: What is the capital of France?\nAnswer:';
    assert.equal(usage.prompt_tokens, (await demo()).tokenizer.encode(prompt).length);

    const template = "{% for m in messages %}{{ 'Question: ' + m.content + '\\n' }}{% endfor %}Answer:";
    const own = await demoHandler({ chat: templateFormat(template) });
    const answer = await chat(own, { messages: messages.slice(0, 1), temperature: 0 });
    assert.equal(answer.choices[0].message.content, ' Tokyo');
    const strict = await demoHandler({ chat: templateFormat("{{ raise_exception('no system here') }}") });
    assert.match((await chat(strict, { messages })).error.message, /no system here/);
  });

  it('tokenizes and detokenizes, and says which token ends a text', async () => {
    const post = async (path: string, json: object) =>
      (await (await handler.fetch(request(path, json))).json()) as Answer;
    const { tokens } = await post('/tokenize', { prompt: JAPAN, add_special_tokens: false });
    assert.deepEqual(tokens, (await demo()).tokenizer.encode(JAPAN));
    assert.equal((await post('/detokenize', { tokens })).prompt, JAPAN);
    const info = await (await handler.fetch(request('/tokenizer_info'))).json();
    assert.equal((info as { eos_token: string }).eos_token, '</s>');
    const text = await (await handler.fetch(request('/metrics'))).text();
    assert.match(text, /^emergent_generated_tokens_total [1-9]\d*$/m);
  });
});
