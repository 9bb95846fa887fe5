import * as v from 'valibot';
import { isObject } from '../lib/guards.js';
import { quote } from '../lib/quote.js';
import { ApiError, badField } from './apiError.js';

/** The largest number of alternatives that a token is shown with. */
export const MAX_TOP_LOGPROBS = 20;
/** The most texts that one request may ask for, prompts times `n`. */
export const MAX_CHOICES = 1024;

type Maybe<T> = T | null | undefined;

interface CommonBody {
  model: string;
  n?: Maybe<number>;
  seed?: Maybe<number>;
  temperature?: Maybe<number>;
  top_p?: Maybe<number>;
  top_k?: Maybe<number>;
  presence_penalty?: Maybe<number>;
  frequency_penalty?: Maybe<number>;
  logit_bias?: Maybe<Record<string, number>>;
  stop?: Maybe<string | string[]>;
  stream?: Maybe<boolean>;
  stream_options?: Maybe<{ include_usage?: Maybe<boolean> }>;
  ignore_eos?: Maybe<boolean>;
}

export interface CompletionBody extends CommonBody {
  prompt: string | string[] | number[] | number[][];
  max_tokens?: Maybe<number>;
  echo?: Maybe<boolean>;
  logprobs?: Maybe<number>;
}

export interface ChatBody extends CommonBody {
  messages: { role: string; content: string | { text: string }[] }[];
  max_tokens?: Maybe<number>;
  max_completion_tokens?: Maybe<number>;
  logprobs?: Maybe<boolean>;
  top_logprobs?: Maybe<number>;
}

export interface TokenizeBody {
  prompt: string;
  add_special_tokens?: Maybe<boolean>;
  model?: Maybe<string>;
}

export interface DetokenizeBody {
  tokens: number[];
  model?: Maybe<string>;
}

const integer = (min: number, max: number = Number.MAX_SAFE_INTEGER): v.GenericSchema<number> =>
  v.custom<number>(
    (x) => Number.isSafeInteger(x) && (x as number) >= min && (x as number) <= max,
    max === Number.MAX_SAFE_INTEGER
      ? `must be an integer of at least ${min}`
      : `must be an integer from ${min} to ${max}`,
  );
const real = (min: number, max: number): v.GenericSchema<number> =>
  v.custom<number>((x) => typeof x === 'number' && x >= min && x <= max, `must be a number from ${min} to ${max}`);
const text: v.GenericSchema<string> = v.string('must be a string');
const flag: v.GenericSchema<boolean> = v.boolean('must be true or false');
const ids: v.GenericSchema<number[]> = v.array(integer(0), 'must be a list of token ids');

/** A field that may be absent. The API treats null as absent. */
const maybe = <T>(schema: v.GenericSchema<T>): v.GenericSchema<T | null | undefined> => v.nullish(schema);
/** A field of the API that this server does not support, with the value that changes nothing. */
const only = (value: unknown): v.GenericSchema =>
  v.nullish(
    v.custom(
      (x) => JSON.stringify(x) === JSON.stringify(value),
      `is not supported, except as ${JSON.stringify(value)}`,
    ),
  );

const stop = v.union([text, v.array(text, 'must be a list of strings')], 'must be a string or a list of strings');

/** What both endpoints understand. */
const COMMON = {
  model: v.string('must be a string'),
  n: maybe(integer(1, 128)),
  seed: maybe(integer(Number.MIN_SAFE_INTEGER)),
  temperature: maybe(real(0, 100)),
  top_p: maybe(
    v.custom<number>((x) => typeof x === 'number' && x > 0 && x <= 1, 'must be a number above 0 and at most 1'),
  ),
  top_k: maybe(integer(-1)),
  presence_penalty: maybe(real(-2, 2)),
  frequency_penalty: maybe(real(-2, 2)),
  logit_bias: maybe(v.custom<Record<string, number>>(isObject, 'must be an object of token ids and numbers')),
  stop: maybe(stop),
  stream: maybe(flag),
  stream_options: maybe(
    v.strictObject({ include_usage: maybe(flag), include_obfuscation: only(false) }, 'must have include_usage alone'),
  ),
  /** Goes on after the end-of-text token. */
  ignore_eos: maybe(flag),
  /** Names the caller's user; it has nothing to do with the answer. */
  user: maybe(text),
};

export const COMPLETION_BODY: BodySchema<CompletionBody> = v.object({
  ...COMMON,
  prompt: v.union(
    [text, v.array(text), ids, v.array(ids)],
    'must be a string, a list of strings, a list of token ids or a list of such lists',
  ),
  max_tokens: maybe(integer(0)),
  echo: maybe(flag),
  logprobs: maybe(integer(0, MAX_TOP_LOGPROBS)),
  best_of: only(1),
  suffix: only(''),
});

const message = v.object({
  role: v.picklist(['system', 'developer', 'user', 'assistant'], 'must be system, developer, user or assistant'),
  content: v.union(
    [text, v.array(v.object({ type: v.literal('text', "must be 'text'"), text }, 'must be a part of type text'))],
    'must be a string or a list of parts of type text',
  ),
  name: maybe(text),
  refusal: only(''),
});

export const CHAT_BODY: BodySchema<ChatBody> = v.object({
  ...COMMON,
  messages: v.pipe(v.array(message, 'must be a list of messages'), v.minLength(1, 'must have at least one message')),
  max_tokens: maybe(integer(1)),
  max_completion_tokens: maybe(integer(1)),
  logprobs: maybe(flag),
  top_logprobs: maybe(integer(0, MAX_TOP_LOGPROBS)),
  response_format: only({ type: 'text' }),
  tools: only([]),
  tool_choice: only('none'),
  store: only(false),
});

export const TOKENIZE_BODY: BodySchema<TokenizeBody> = v.object({
  prompt: text,
  add_special_tokens: maybe(flag),
  model: maybe(text),
});
export const DETOKENIZE_BODY: BodySchema<DetokenizeBody> = v.object({ tokens: ids, model: maybe(text) });

/** A schema of an object, whose keys are the fields that there are. */
export interface BodySchema<T> extends v.GenericSchema<unknown, T> {
  readonly entries: Readonly<Record<string, unknown>>;
}

/**
 * Checks the body of a request. Nothing in it is ignored in silence.
 *
 * @throws ApiError 400 that names the field.
 */
export function checkBody<T>(schema: BodySchema<T>, body: unknown): T {
  if (!isObject(body)) throw new ApiError(400, 'the body must be a JSON object', { code: 'invalid_body' });
  for (const key of Object.keys(body)) {
    if (Object.hasOwn(schema.entries, key) || body[key] === null) continue;
    throw badField(quote(key).slice(1, -1), 'is not supported', 'unsupported_parameter');
  }
  const result = v.safeParse(schema, body, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = (issue.path ?? []).map(({ key }) => String(key)).join('.');
  if (issue.input === undefined) throw badField(path, 'is missing', 'missing_required_parameter');
  throw badField(path, `${issue.message}, got ${quote(issue.input)}`);
}
