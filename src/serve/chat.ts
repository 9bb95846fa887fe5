import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { badField } from './apiError.js';
import { CHAT_BODY, checkBody, type ChatBody } from './bodies.js';
import { EVENT_HEADERS, eventStream, mergePieces } from './events.js';
import { tokenText, type Generation, type ScoredToken } from './generation.js';
import { encode, generate, requireModel, stopsOf, usageOf, type Service } from './service.js';

/** `POST /v1/chat/completions` */
export async function chat(service: Service, json: unknown, id: string, signal: AbortSignal): Promise<Response> {
  const body = checkBody(CHAT_BODY, json);
  requireModel(service, body.model);
  if (body.stream_options && !body.stream) throw badField('stream_options', 'needs stream');
  if (body.top_logprobs && !body.logprobs) throw badField('top_logprobs', 'needs logprobs');
  const messages = body.messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  }));
  const generations = generate(
    service,
    body,
    {
      prompts: [encode(service, service.chat.render(messages), 'messages')],
      maxTokens: body.max_completion_tokens ?? body.max_tokens ?? service.model.config.blockSize,
      stop: stopsOf(body),
      echo: false,
      logprobs: body.logprobs ?? false,
      top: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
    },
    signal,
  );
  const head = { id: `chatcmpl-${id}`, created: Math.floor(Date.now() / 1000), model: service.name };
  const cancel = (): void => {
    generations.forEach(({ sequence }) => {
      sequence.cancel();
    });
  };
  if (!body.stream) return Response.json({ ...head, ...(await whole(service, body, generations)) });
  const objects = chunks(service, body, generations, { ...head, object: 'chat.completion.chunk' });
  return new Response(eventStream(objects, cancel), { headers: EVENT_HEADERS });
}

async function whole(service: Service, body: ChatBody, generations: Generation[]): Promise<object> {
  const texts = generations.map(() => new Content(service));
  const tokens = generations.map((): ScoredToken[] => []);
  for await (const { index, piece } of mergePieces(generations)) {
    texts[index].push(piece?.text ?? '');
    for (const token of piece?.tokens ?? []) tokens[index].push(token);
  }
  const choices = generations.map(({ finishReason }, index) => ({
    index,
    message: { role: 'assistant', content: texts[index].text, refusal: null },
    logprobs: logprobsOf(service.model.tokenizer, body, tokens[index]),
    finish_reason: finishReason,
  }));
  return { object: 'chat.completion', choices, usage: usageOf(generations, body.n ?? 1) };
}

async function* chunks(
  service: Service,
  body: ChatBody,
  generations: readonly Generation[],
  head: object,
): AsyncGenerator<object, void, undefined> {
  const withUsage = body.stream_options?.include_usage ?? false;
  const rest = withUsage ? { usage: null } : {};
  const texts = generations.map(() => new Content(service));
  const chunk = (index: number, delta: object, logprobs: object | null, finish: string | null): object => ({
    ...head,
    choices: [{ index, delta, logprobs, finish_reason: finish }],
    ...rest,
  });
  for (const index of generations.keys()) yield chunk(index, { role: 'assistant', content: '' }, null, null);
  for await (const { index, piece } of mergePieces(generations)) {
    if (!piece) {
      yield chunk(index, {}, null, generations[index].finishReason);
      continue;
    }
    const content = texts[index].push(piece.text);
    const logprobs = logprobsOf(service.model.tokenizer, body, piece.tokens);
    if (content !== '' || piece.tokens.length > 0) yield chunk(index, { content }, logprobs, null);
  }
  if (withUsage) yield { ...head, choices: [], usage: usageOf(generations, body.n ?? 1) };
}

/** The text of an answer, without the space that belongs to the format. */
class Content {
  text = '';
  readonly #trimsStart: boolean;

  constructor({ chat }: Service) {
    this.#trimsStart = chat.trimsStart;
  }

  /** Adds a piece. Returns what is new of the text. */
  push(piece: string): string {
    const added = this.#trimsStart && this.text === '' ? piece.trimStart() : piece;
    this.text += added;
    return added;
  }
}

function logprobsOf(tokenizer: Tokenizer, { logprobs }: ChatBody, tokens: readonly ScoredToken[]): object | null {
  if (!logprobs) return null;
  const shown = (id: number, logprob: number): object => {
    const token = tokenText(tokenizer, id);
    return { token, logprob, bytes: [...new TextEncoder().encode(token)] };
  };
  const content = tokens.flatMap(({ id, score }) =>
    score ? [{ ...shown(id, score.logprob), top_logprobs: score.top.map((one) => shown(one.id, one.logprob)) }] : [],
  );
  return { content, refusal: null };
}
