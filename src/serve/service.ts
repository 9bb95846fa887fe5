import type { LanguageModel } from '../languageModel.js';
import { quote } from '../lib/quote.js';
import { TokenizerError } from '../lib/errors.js';
import { ApiError, badField } from './apiError.js';
import { MAX_CHOICES, type ChatBody, type CompletionBody } from './bodies.js';
import type { ChatFormat } from './chatFormat.js';
import { createChoice } from './choose.js';
import { Generation, type GenerationOptions } from './generation.js';
import type { Metrics } from './metrics.js';
import type { Scheduler } from './scheduler.js';

/** What the endpoints share. */
export interface Service {
  readonly model: LanguageModel;
  /** What clients call the model. */
  readonly name: string;
  /** When the server started, in seconds since 1970. */
  readonly created: number;
  readonly scheduler: Scheduler;
  readonly metrics: Metrics;
  readonly chat: ChatFormat;
}

/** The tokens that a request used, as the API reports them. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

/** What a request asks to generate. */
export interface Wanted extends GenerationOptions {
  prompts: readonly (readonly number[])[];
  maxTokens: number;
  /** Alternatives to name for every generated token. */
  top?: number | undefined;
  /** The same for every token of the prompt. */
  promptTop?: number | undefined;
}

/** @throws ApiError 404 for another model than the one that is served. */
export function requireModel({ name }: Service, model: string): void {
  if (model === name) return;
  throw new ApiError(404, `the model ${quote(model)} does not exist; this server has ${quote(name)}`, {
    param: 'model',
    code: 'model_not_found',
  });
}

/**
 * Converts a text to ids.
 *
 * @throws ApiError 400 if the vocabulary cannot express it.
 */
export function encode({ model }: Service, text: string, param: string): number[] {
  try {
    return model.tokenizer.encode(text);
  } catch (error) {
    if (error instanceof TokenizerError) throw badField(param, `cannot be tokenized: ${error.message}`);
    throw error;
  }
}

/** @throws ApiError 400 for an id outside the vocabulary. */
export function requireIds({ model }: Service, ids: readonly number[], param: string): void {
  const { vocabSize } = model.config;
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong !== undefined) throw badField(param, `contains ${wrong}; token ids are below ${vocabSize}`);
}

/** The stop strings of a request. */
export function stopsOf({ stop }: CompletionBody | ChatBody): string[] {
  const stops = typeof stop === 'string' ? [stop] : (stop ?? []);
  if (stops.length > 4) throw badField('stop', `may have up to 4 strings, got ${stops.length}`);
  if (stops.includes('')) throw badField('stop', 'contains an empty string');
  return stops;
}

/**
 * Starts to generate: `n` choices for each prompt. Everything that can be wrong is found here, before an answer begins.
 *
 * @param signal cancels everything: the client has gone
 * @throws ApiError 400 for a prompt that is empty or too long, 429 if too many requests wait.
 */
export function generate(
  service: Service,
  body: CompletionBody | ChatBody,
  wanted: Wanted,
  signal: AbortSignal,
): Generation[] {
  const { model, scheduler } = service;
  const { blockSize, vocabSize } = model.config;
  const n = body.n ?? 1;
  const param = 'prompt' in body ? 'prompt' : 'messages';
  if (wanted.prompts.length === 0) throw badField(param, 'is empty');
  if (wanted.prompts.length * n > MAX_CHOICES) {
    throw badField('n', `times the number of prompts exceeds ${MAX_CHOICES}`);
  }
  for (const prompt of wanted.prompts) {
    if (prompt.length === 0) throw badField(param, 'is empty: the model needs at least one token');
    requireIds(service, prompt, param);
    if (prompt.length <= blockSize) continue;
    const message = `the prompt has ${prompt.length} tokens, but the model's context has ${blockSize}`;
    throw new ApiError(400, message, { param, code: 'context_length_exceeded' });
  }
  const bias = biasOf(body, vocabSize);
  const seed = body.seed ?? Math.floor(Math.random() * 2 ** 32);
  const requests = wanted.prompts.flatMap((prompt) =>
    Array.from({ length: n }, (_, choice) => ({
      prompt,
      // the last token needs no place in the context
      maxTokens: Math.min(wanted.maxTokens, blockSize - prompt.length + 1),
      stopIds: body.ignore_eos ? [] : model.tokenizer.eosIds,
      choose: createChoice({
        temperature: body.temperature ?? 1,
        topP: body.top_p ?? 1,
        topK: Math.max(body.top_k ?? 0, 0),
        presencePenalty: body.presence_penalty ?? 0,
        frequencyPenalty: body.frequency_penalty ?? 0,
        logitBias: bias,
        seed: wrap(seed + choice),
      }),
      top: wanted.top,
      promptTop: wanted.promptTop,
    })),
  );
  if (signal.aborted) throw new ApiError(499, 'the client has gone', { code: 'canceled' });
  const sequences = scheduler.submit(requests);
  signal.addEventListener(
    'abort',
    () => {
      sequences.forEach((sequence) => {
        sequence.cancel();
      });
    },
    { once: true },
  );
  return sequences.map((sequence) => new Generation(sequence, model.tokenizer, wanted));
}

/** What several choices used. A prompt counts once, however many choices it has. */
export function usageOf(generations: readonly Generation[], n: number): Usage {
  const perPrompt = generations.filter((_, i) => i % n === 0);
  const prompt = perPrompt.reduce((sum, { sequence }) => sum + sequence.request.prompt.length, 0);
  const cached = perPrompt.reduce((sum, { sequence }) => sum + sequence.cachedTokens, 0);
  const completion = generations.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** Keeps a seed among the integers that float64 represents exactly. */
function wrap(seed: number): number {
  return Number.isSafeInteger(seed) ? seed : seed - 2 ** 53;
}

function biasOf({ logit_bias: given }: CompletionBody | ChatBody, vocabSize: number): Map<number, number> {
  const bias = new Map<number, number>();
  for (const [key, value] of Object.entries(given ?? {})) {
    if (!/^\d+$/.test(key) || Number(key) >= vocabSize) {
      throw badField('logit_bias', `has the key ${quote(key)}; token ids are below ${vocabSize}`);
    }
    if (typeof value !== 'number' || value < -100 || value > 100) {
      throw badField('logit_bias', `must have numbers from -100 to 100, got ${quote(value)}`);
    }
    bias.set(Number(key), value);
  }
  return bias;
}
