import type { Float32Tensor } from '../reference/lib/tensor.js';
import type { Trace } from '../reference/lib/trace.js';
import type { Model } from '../reference/lib/weights.js';

export interface SessionForwardOptions {
  /** Score the token after each new position, or only after the last one (the default). */
  logits?: 'all' | 'last' | undefined;
  /** Called with every named activation, in order of execution. On the reference it may replace them. */
  trace?: Trace | undefined;
  /** Trace the attention weights as well: `layers.N.attn_weights`, [H, T, S]. Only the reference can. */
  attnWeights?: boolean | undefined;
}

/**
 * One conversation with a model: the tokens so far, kept as keys and values. Sessions share the model's weights and
 * nothing else. All calls that compute are async, because a device may be behind them.
 *
 * A session runs one call at a time, in the order of the calls. A second `forward()`, `fork()` and `dispose()` wait for their
 * turn. `reset()` and `truncate()` cannot wait, because they are not async: while another call is running or waiting, they
 * throw and change nothing.
 */
export interface Session {
  /** Number of tokens held so far. */
  readonly length: number;
  /** The number of tokens this backend processes best at once. Between such chunks a long prompt can be aborted. */
  readonly chunk: number;
  /** Whether it can trace the attention weights. */
  readonly tracesAttnWeights: boolean;
  /** Whether a token's logits have the same bits whatever is computed beside it: on `simd` and the reference. */
  readonly batchInvariant: boolean;
  /**
   * Appends T tokens.
   *
   * @returns logits [1, V] after the last token, or [T, V] for `logits: 'all'`
   * @throws InputError for no tokens, an id outside the vocabulary, more than block_size tokens in all, or `attnWeights`
   *   or a trace's replacement where the backend cannot do that. The session then still holds what it held before.
   */
  forward(ids: readonly number[], options?: SessionForwardOptions): Promise<Float32Tensor>;
  /**
   * Forgets all tokens.
   *
   * @throws InputError while a `forward()` or `fork()` is running or waiting.
   */
  reset(): void;
  /**
   * Forgets all tokens but the first `length`. The session then computes what one that never had the others computes, with the
   * same bits, and its forks keep theirs.
   *
   * @throws InputError for a length that is no integer from 0 to the number of tokens held, or while a `forward()` or
   *   `fork()` is running or waiting.
   */
  truncate(length: number): void;
  /**
   * Opens another session that holds the same tokens. The two are independent from then on, and either may be disposed of
   * first. On `simd` they share the memory of these tokens, in pages of 64; whoever writes to a shared page copies it first.
   *
   * @param length how many of the tokens the new session holds, from the first on. Default: all.
   * @throws InputError if the session has been disposed or holds fewer tokens; DeviceError if there is no memory left.
   */
  fork(length?: number): Promise<Session>;
  /** Waits for earlier calls, then frees what the session holds. Later calls of `forward()` are refused. */
  dispose(): Promise<void>;
}

/** What one session gets in a batch. */
export interface BatchEntry {
  session: Session;
  /** The tokens to append. Entries may differ in number: one token here, a piece of a prompt there. */
  ids: readonly number[];
  /** Score the token after each new position, or only after the last one (the default). */
  logits?: 'all' | 'last' | undefined;
}

/** A model ready to compute; its sessions share it. */
export interface Backend {
  /** A name that `openBackend` accepts: never `auto` or `gpu`, but the backend they resolved to. */
  readonly name: string;
  /** What computes, as its driver describes it. */
  readonly adapter: string;
  openSession(): Session;
  /**
   * Advances several sessions of this backend together: `simd` reads the weights once for all of them, the others compute one
   * after the other. Every session gets the logits that it would get alone, on `simd` and the reference bit for bit. Sessions
   * may join and leave from one call to the next. The call waits for earlier calls of its sessions.
   *
   * @returns the logits of each entry, as {@link Session.forward} returns them; an empty list for an empty batch
   * @throws BatchError, before anything is computed, for an entry whose session belongs to another backend, has been disposed
   *   or is in the batch twice, or whose tokens `forward()` would refuse; DeviceError if the device fails. All sessions then
   *   hold what they held before.
   */
  forwardBatch(batch: readonly BatchEntry[]): Promise<Float32Tensor[]>;
  /** Frees what the model holds on the backend. Its sessions cannot be used afterwards. */
  dispose(): Promise<void>;
}

/** Memory of a backend, into which a loader reads weights directly, so that they are in memory once. */
export interface WeightsHome {
  /**
   * Allocates bytes on a boundary of 64; their contents are arbitrary.
   *
   * @throws DeviceError if there is no memory left.
   */
  allocateBytes(length: number): Uint8Array;
}

/** A model as a loader returns it: its weights, and the backend memory that holds them, if any. */
export interface LoadedModel extends Model {
  readonly home?: WeightsHome | undefined;
}
