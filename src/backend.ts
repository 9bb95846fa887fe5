import { InputError } from './errors.js';
import { openReferenceSession } from './referenceSession.js';
import type { Tensor } from './tensor.js';
import type { Trace } from './trace.js';
import type { Model } from './weights.js';

export interface SessionForwardOptions {
  /** Score the token after each new position, or only after the last one (the default). */
  logits?: 'all' | 'last' | undefined;
  /** Called with every named activation, in order of execution. */
  trace?: Trace | undefined;
}

/**
 * One conversation with a model: the tokens so far, kept as keys and values. Sessions share the model's weights and
 * nothing else. All calls are async, so that a device can be behind them; one session runs one call at a time.
 */
export interface Session {
  /** Tokens held so far. */
  readonly length: number;
  /** How many tokens this backend likes to be given at once; a longer prompt can be stopped between such chunks. */
  readonly chunk: number;
  /**
   * Appends T tokens.
   *
   * @returns logits [1, V] after the last token, or [T, V] for `logits: 'all'`
   * @throws InputError for no tokens, an id outside of the vocabulary, or more than block_size tokens in all. The
   *   session then holds what it held before.
   */
  forward(ids: readonly number[], options?: SessionForwardOptions): Promise<Tensor>;
  /** Forgets all tokens. */
  reset(): void;
  /** Frees what the session holds; it cannot be used afterwards. */
  dispose(): Promise<void>;
}

const BACKENDS: Readonly<Record<string, (model: Model) => Promise<Session>>> = {
  reference: (model) => Promise.resolve(openReferenceSession(model)),
};

/** The names that {@link openSession} takes. */
export const BACKEND_NAMES: readonly string[] = Object.keys(BACKENDS);

/**
 * Starts a session on a backend.
 *
 * @throws InputError if there is no backend of that name.
 */
export function openSession(model: Model, backend = 'reference'): Promise<Session> {
  if (!Object.hasOwn(BACKENDS, backend)) {
    throw new InputError(`there is no backend '${backend}'; there is: ${BACKEND_NAMES.join(', ')}`);
  }
  return BACKENDS[backend](model);
}
