import { InputError } from '../reference/lib/errors.js';
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
 * A session runs one call at a time, in the order of the calls. A second `forward()` and `dispose()` wait for their turn.
 * `reset()` cannot wait, because it is not async: while a `forward()` is running or waiting, it throws and changes nothing.
 */
export interface Session {
  /** Number of tokens held so far. */
  readonly length: number;
  /** The number of tokens this backend processes best at once. Between such chunks a long prompt can be aborted. */
  readonly chunk: number;
  /** Whether it can trace the attention weights. */
  readonly tracesAttnWeights: boolean;
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
   * @throws InputError while a `forward()` is running or waiting.
   */
  reset(): void;
  /** Waits for earlier calls, then frees what the session holds. Later calls of `forward()` are refused. */
  dispose(): Promise<void>;
}

/** A model ready to compute; its sessions share it. */
export interface Backend {
  /** A name that `openBackend` accepts: never `auto` or `gpu`, but the backend they resolved to. */
  readonly name: string;
  /** What computes, as its driver describes it. */
  readonly adapter: string;
  openSession(): Session;
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

/** Keys and values on a device. */
export interface DeviceCache {
  /** Number of tokens held. */
  length: number;
  /** Frees the device's memory; absent if garbage collection is enough. */
  dispose?(): void;
}

/** What a {@link DeviceSession} needs from its device, whichever it is. */
export interface SessionDevice<Cache extends DeviceCache> {
  /** See {@link Session.chunk}. */
  readonly chunk: number;
  openCache(): Cache;
  /** Runs `body` when no other session uses the device. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result>;
  /** See {@link Session.tracesAttnWeights}; false if absent. */
  readonly tracesAttnWeights?: boolean;
  /** Whether a trace may replace activations; false if absent. */
  readonly replacesActivations?: boolean;
  forward(
    ids: readonly number[],
    cache: Cache,
    logits: 'all' | 'last',
    trace: Trace | undefined,
    attnWeights: boolean,
  ): Promise<Float32Tensor>;
}

/** A session on a device that sessions share and use one at a time. */
export class DeviceSession<Cache extends DeviceCache> implements Session {
  readonly chunk: number;
  readonly tracesAttnWeights: boolean;
  readonly #device: SessionDevice<Cache>;
  #cache: Cache | null;
  /** Calls of `forward()` that are running or waiting. */
  #pending = 0;

  constructor(device: SessionDevice<Cache>) {
    this.chunk = device.chunk;
    this.tracesAttnWeights = device.tracesAttnWeights ?? false;
    this.#device = device;
    this.#cache = device.openCache();
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  async forward(
    ids: readonly number[],
    { logits = 'last', trace, attnWeights = false }: SessionForwardOptions = {},
  ): Promise<Float32Tensor> {
    this.#pending++;
    try {
      return await this.#device.exclusive(() => {
        if (!this.#cache) throw new InputError('the session has been disposed');
        if (attnWeights && !this.tracesAttnWeights) {
          throw new InputError('only the backend reference can trace attention weights');
        }
        const observed = trace && !this.#device.replacesActivations ? readOnly(trace) : trace;
        return this.#device.forward(ids, this.#cache, logits, observed, attnWeights);
      });
    } finally {
      this.#pending--;
    }
  }

  reset(): void {
    if (this.#pending > 0) throw new InputError('reset() cannot run during forward(): wait for forward() first');
    if (this.#cache) this.#cache.length = 0;
  }

  async dispose(): Promise<void> {
    await this.#device.exclusive(() => {
      this.#cache?.dispose?.();
      this.#cache = null;
      return Promise.resolve();
    });
  }
}

/** Refuses replacements, which a device would ignore. */
function readOnly(trace: Trace): Trace {
  return (name, value) => {
    if (trace(name, value)) throw new InputError(`only the backend reference can replace activations, here ${name}`);
  };
}
