import type { Session } from './backend.js';
import { InputError } from '../reference/lib/errors.js';
import { requireKnownOptions, requireOption } from './lib/options.js';
import { createSampler, SAMPLE_OPTIONS, type SampleOptions } from './sample.js';
import type { ModelConfig } from '../reference/lib/config.js';

export interface GenerateOptions extends SampleOptions {
  /** Maximum number of new tokens. Default: 128. */
  maxNewTokens?: number | undefined;
  /** Tokens that end the text. They are yielded as well. */
  stopIds?: readonly number[] | undefined;
  /** Aborts between two chunks of the prompt or two tokens: the generator then throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

const GENERATE_OPTIONS: readonly string[] = [
  ...Object.keys({ maxNewTokens: true, stopIds: true, signal: true } satisfies Record<
    Exclude<keyof GenerateOptions, keyof SampleOptions>,
    true
  >),
  ...SAMPLE_OPTIONS,
];

/**
 * Continues a sequence of tokens, yielding each new one as soon as it is known.
 *
 * Past block_size it continues with the last block_size tokens, as the original code does. These tokens move to new
 * positions and lose their oldest context, so the cache is useless and each further token costs a full pass.
 *
 * @param session is reset first
 * @throws InputError for an empty prompt, an id outside the vocabulary, an unknown option or one out of range; the signal's
 *   reason if it is aborted before the last token.
 */
export async function* generateIds(
  session: Session,
  { blockSize }: ModelConfig,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  requireKnownOptions(options, GENERATE_OPTIONS);
  const { maxNewTokens = 128, stopIds = [], signal, ...sampling } = options;
  requireOption(
    Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0,
    'the number of new tokens',
    'an integer of at least 0',
    maxNewTokens,
  );
  if (prompt.length === 0) throw new InputError('the prompt is empty: the model needs at least one token');
  const sample = createSampler(sampling);
  const ids = [...prompt];
  signal?.throwIfAborted();

  session.reset();
  let unseen = ids.slice(-blockSize);
  for (let n = 0; n < maxNewTokens; n++) {
    const logits = await lastLogits(session, unseen, signal);
    const id = sample(logits, ids);
    ids.push(id);
    yield id;
    if (stopIds.includes(id)) return;

    unseen = [id];
    if (session.length === blockSize) {
      session.reset();
      unseen = ids.slice(-blockSize);
    }
  }
}

/** Runs tokens through the session chunk by chunk. */
async function lastLogits(
  session: Session,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  let logits: Float32Array = new Float32Array(0);
  for (let start = 0; start < ids.length; start += session.chunk) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    logits = (await session.forward(ids.slice(start, start + session.chunk))).data;
    signal?.throwIfAborted(); // a device may have computed for long
  }
  return logits;
}

/**
 * Yields to the event loop: a backend that computes on this thread would starve timers, signals and output. `setTimeout`
 * would add 1 ms in Node and 4 ms in browsers.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel() as unknown as { port1: Port; port2: Port };
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** A MessagePort, typed as in browsers. */
interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  close(): void;
}
