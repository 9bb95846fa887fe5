import type { Session } from './backend.js';
import { InputError } from '../reference/lib/errors.js';
import { createSampler, type SampleOptions } from './sample.js';
import type { ModelConfig } from '../reference/lib/config.js';

export interface GenerateOptions extends SampleOptions {
  /** Maximum number of new tokens. Default: 128. */
  maxNewTokens?: number | undefined;
  /** Tokens that end the text. They are yielded as well. */
  stopIds?: readonly number[] | undefined;
  /** Ends generation between two tokens, without an error. */
  signal?: AbortSignal | undefined;
}

/**
 * Continues a sequence of tokens, yielding each new one as soon as it is known.
 *
 * Past block_size it continues with the last block_size tokens, as the original code does. These tokens move to new
 * positions and lose their oldest context, so the cache is useless and each further token costs a full pass.
 *
 * @param session is reset first
 * @throws InputError for an empty prompt, an id outside the vocabulary or an option out of range.
 */
export async function* generateIds(
  session: Session,
  { blockSize }: ModelConfig,
  prompt: readonly number[],
  { maxNewTokens = 128, stopIds = [], signal, ...sampling }: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  if (!Number.isSafeInteger(maxNewTokens) || maxNewTokens < 0) {
    throw new InputError(`the number of new tokens must be an integer of at least 0, got ${maxNewTokens}`);
  }
  if (prompt.length === 0) throw new InputError('the prompt is empty: the model needs at least one token');
  const sample = createSampler(sampling);
  const ids = [...prompt];

  session.reset();
  let unseen = ids.slice(-blockSize);
  for (let n = 0; n < maxNewTokens; n++) {
    const logits = await lastLogits(session, unseen, signal);
    if (!logits) return;
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

/** Runs tokens through the session chunk by chunk. Returns null if the signal aborts. */
async function lastLogits(
  session: Session,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Float32Array | null> {
  let logits: Float32Array | null = null;
  for (let start = 0; start < ids.length; start += session.chunk) {
    await yieldToEventLoop();
    if (signal?.aborted) return null;
    logits = (await session.forward(ids.slice(start, start + session.chunk))).data;
  }
  return logits;
}

/**
 * Yields to the event loop: a backend that computes on this thread would starve timers, signals and output. `setTimeout`
 * would add 1 ms in Node and 4 ms in browsers.
 */
function yieldToEventLoop(): Promise<void> {
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
