import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { COMPLETION_BODY, checkBody, type CompletionBody } from './bodies.js';
import { EVENT_HEADERS, eventStream, mergePieces } from './events.js';
import { tokenText, type Generation, type ScoredToken } from './generation.js';
import { badField } from './apiError.js';
import { encode, generate, requireModel, stopsOf, usageOf, type Service } from './service.js';

/** The legacy shape: parallel lists. */
interface Logprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}

/** `POST /v1/completions` */
export async function completions(service: Service, json: unknown, id: string, signal: AbortSignal): Promise<Response> {
  const body = checkBody(COMPLETION_BODY, json);
  requireModel(service, body.model);
  const { echo, logprobs: top } = body;
  const maxTokens = body.max_tokens ?? 16;
  if (maxTokens === 0 && !echo) throw badField('max_tokens', 'must be at least 1 without echo');
  if (body.stream_options && !body.stream) throw badField('stream_options', 'needs stream');
  const generations = generate(
    service,
    body,
    {
      prompts: promptsOf(service, body),
      maxTokens,
      stop: stopsOf(body),
      echo: echo ?? false,
      logprobs: top !== null && top !== undefined,
      top: top ?? undefined,
      promptTop: echo ? (top ?? undefined) : undefined,
    },
    signal,
  );
  const head = {
    id: `cmpl-${id}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: service.name,
  };
  const cancel = (): void => {
    generations.forEach(({ sequence }) => {
      sequence.cancel();
    });
  };
  return body.stream
    ? new Response(eventStream(chunks(service, body, generations, head), cancel), { headers: EVENT_HEADERS })
    : Response.json({ ...head, ...(await whole(service, body, generations)) });
}

async function whole(service: Service, body: CompletionBody, generations: Generation[]): Promise<object> {
  const texts = generations.map(() => '');
  const tokens = generations.map((): ScoredToken[] => []);
  for await (const { index, piece } of mergePieces(generations)) {
    texts[index] += piece?.text ?? '';
    for (const token of piece?.tokens ?? []) tokens[index].push(token);
  }
  const choices = generations.map(({ finishReason }, index) => ({
    text: texts[index],
    index,
    logprobs: logprobsOf(service.model.tokenizer, body, tokens[index]),
    finish_reason: finishReason,
  }));
  return { choices, usage: usageOf(generations, body.n ?? 1) };
}

async function* chunks(
  service: Service,
  body: CompletionBody,
  generations: readonly Generation[],
  head: object,
): AsyncGenerator<object, void, undefined> {
  const withUsage = body.stream_options?.include_usage ?? false;
  const rest = withUsage ? { usage: null } : {};
  for await (const { index, piece } of mergePieces(generations)) {
    const logprobs = piece ? logprobsOf(service.model.tokenizer, body, piece.tokens) : null;
    const finish = piece ? null : generations[index].finishReason;
    const choice = { text: piece?.text ?? '', index, logprobs, finish_reason: finish };
    yield { ...head, choices: [choice], ...rest };
  }
  if (withUsage) yield { ...head, choices: [], usage: usageOf(generations, body.n ?? 1) };
}

function promptsOf(service: Service, { prompt }: CompletionBody): (readonly number[])[] {
  if (typeof prompt === 'string') return [encode(service, prompt, 'prompt')];
  if (prompt.length === 0) return [];
  if (typeof prompt[0] === 'number') return [prompt as number[]];
  return (prompt as (string | number[])[]).map((one) =>
    typeof one === 'string' ? encode(service, one, 'prompt') : one,
  );
}

function logprobsOf(tokenizer: Tokenizer, { logprobs: top }: CompletionBody, tokens: ScoredToken[]): Logprobs | null {
  if (top === null || top === undefined) return null;
  return {
    tokens: tokens.map(({ id }) => tokenText(tokenizer, id)),
    token_logprobs: tokens.map(({ score }) => score?.logprob ?? null),
    top_logprobs: tokens.map(({ score }) => score && alternatives(tokenizer, score.top, score)),
    text_offset: tokens.map(({ offset }) => offset),
  };
}

/** The likeliest tokens and the token itself, by text. Of two with one text, the likelier. */
function alternatives(
  tokenizer: Tokenizer,
  top: readonly { id: number; logprob: number }[],
  chosen: { id: number; logprob: number },
): Record<string, number> {
  const byText = new Map<string, number>();
  for (const { id, logprob } of [...top, chosen]) {
    const text = tokenText(tokenizer, id);
    byText.set(text, Math.max(logprob, byText.get(text) ?? -Infinity));
  }
  return Object.fromEntries(byText);
}
