import type { LanguageModel } from '../../../src/languageModel.js';
import { createHandler, type Handler, type HandlerOptions } from '../../../src/serve/index.js';
import { load } from '../../../src/load.js';

export const JAPAN = 'Question: What is the capital of Japan?\nAnswer:';
/** A prompt that the demo continues for long when end-of-text is ignored. */
export const LONG = { prompt: 'Question: What is the', ignore_eos: true, max_tokens: 100, temperature: 0 };

let loaded: Promise<LanguageModel> | undefined;

/** The demo, loaded once for all tests of a file. */
export function demo(): Promise<LanguageModel> {
  return (loaded ??= load(undefined, { backend: 'simd:2' }));
}

export async function demoHandler(options: HandlerOptions = {}): Promise<Handler> {
  return createHandler(await demo(), options);
}

export interface Choice {
  text: string;
  index: number;
  finish_reason: string | null;
  logprobs: {
    tokens: string[];
    token_logprobs: (number | null)[];
    top_logprobs: (Record<string, number> | null)[];
    text_offset: number[];
  };
  message: { role: string; content: string };
  delta: { role?: string; content?: string };
}

/** What the tests read of any answer. */
export interface Answer {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: Choice[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  };
  error: { message: string; type: string; param: string | null; code: string | null };
  tokens: number[];
  prompt: string;
  data: { id: string }[];
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** A request to the handler; an object becomes a JSON body. */
export function request(path: string, body?: unknown, { method, headers, signal }: RequestOptions = {}): Request {
  const init: RequestInit = { method: method ?? (body === undefined ? 'GET' : 'POST') };
  init.headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body);
  if (signal) init.signal = signal;
  return new Request(`http://localhost${path}`, init);
}

export async function post(handler: Handler, path: string, body: object): Promise<Answer> {
  const response = await handler.fetch(request(path, { model: 'demo', ...body }));
  return (await response.json()) as Answer;
}

export function complete(handler: Handler, body: object): Promise<Answer> {
  return post(handler, '/v1/completions', body);
}

export function chat(handler: Handler, body: object): Promise<Answer> {
  return post(handler, '/v1/chat/completions', body);
}

/** Reads a stream of events to its end. */
export async function events(
  handler: Handler,
  path: string,
  body: object,
): Promise<{ text: string; chunks: Answer[] }> {
  const response = await handler.fetch(request(path, { model: 'demo', stream: true, ...body }));
  const text = await response.text();
  return { text, chunks: parseEvents(text) };
}

export function parseEvents(text: string): Answer[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '' && event !== 'data: [DONE]')
    .map((event) => JSON.parse(event.slice('data: '.length)) as Answer);
}

/** Waits until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error('it never came to hold');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
