import { checkTokens } from '../reference/lib/checkTokens.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';
import type { Float32Tensor } from '../reference/lib/tensor.js';
import type { Trace } from '../reference/lib/trace.js';
import { BatchError } from './errors.js';
import type { BatchEntry, Session, SessionForwardOptions } from './session.js';

/** Keys and values on a device. */
export interface DeviceCache {
  /** Number of tokens held. */
  length: number;
  /** Frees the device's memory; absent if garbage collection is enough. */
  dispose?(): void;
}

/** The tokens of one sequence in a batch, and the cache that they are appended to. */
export interface BatchPart<Cache> {
  ids: readonly number[];
  cache: Cache;
  logits: 'all' | 'last';
}

/** What a {@link DeviceSession} needs from its device, whichever it is. */
export interface SessionDevice<Cache extends DeviceCache> {
  readonly config: ModelConfig;
  /** See {@link Session.chunk}. */
  readonly chunk: number;
  openCache(): Cache;
  /** Opens a cache that holds the same tokens. */
  forkCache(cache: Cache): Cache | Promise<Cache>;
  /** Runs `body` when no other session uses the device. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result>;
  /** See {@link Session.tracesAttnWeights}; false if absent. */
  readonly tracesAttnWeights?: boolean;
  /** See {@link Session.batchInvariant}; false if absent. */
  readonly batchInvariant?: boolean;
  /** Whether a trace may replace activations; false if absent. */
  readonly replacesActivations?: boolean;
  forward(
    ids: readonly number[],
    cache: Cache,
    logits: 'all' | 'last',
    trace: Trace | undefined,
    attnWeights: boolean,
  ): Promise<Float32Tensor>;
  /** Computes several sequences in one pass; absent if the device computes one after the other. */
  forwardBatch?(parts: readonly BatchPart<Cache>[]): Promise<Float32Tensor[]>;
}

const DISPOSED = 'the session has been disposed';

/** A session on a device that sessions share and use one at a time. */
export class DeviceSession<Cache extends DeviceCache> implements Session {
  readonly chunk: number;
  readonly tracesAttnWeights: boolean;
  readonly batchInvariant: boolean;
  readonly #device: SessionDevice<Cache>;
  #cache: Cache | null;
  /** Calls of `forward()` and `fork()` that are running or waiting. */
  #pending = 0;

  constructor(device: SessionDevice<Cache>, cache: Cache = device.openCache()) {
    this.chunk = device.chunk;
    this.tracesAttnWeights = device.tracesAttnWeights ?? false;
    this.batchInvariant = device.batchInvariant ?? false;
    this.#device = device;
    this.#cache = cache;
  }

  /** See {@link Backend.forwardBatch}. */
  static async forwardBatch<Cache extends DeviceCache>(
    device: SessionDevice<Cache>,
    batch: readonly BatchEntry[],
  ): Promise<Float32Tensor[]> {
    const sessions = batch.map(({ session }, entry) => {
      if (session instanceof DeviceSession && session.#device === device) return session as DeviceSession<Cache>;
      throw new BatchError(entry, 'the session belongs to another backend');
    });
    sessions.forEach((session, entry) => {
      const first = sessions.indexOf(session);
      if (first < entry) throw new BatchError(entry, `its session is already in entry ${first}`);
    });
    for (const session of sessions) session.#pending++;
    try {
      return await device.exclusive(() => {
        const parts = batch.map(({ ids, logits = 'last' }, entry) => {
          const cache = sessions[entry].#cache;
          if (!cache) throw new BatchError(entry, DISPOSED);
          checkEntry(entry, ids, cache.length, device.config);
          return { ids, cache, logits };
        });
        return forwardParts(device, parts);
      });
    } finally {
      for (const session of sessions) session.#pending--;
    }
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  forward(
    ids: readonly number[],
    { logits = 'last', trace, attnWeights = false }: SessionForwardOptions = {},
  ): Promise<Float32Tensor> {
    return this.#whenFree((cache) => {
      if (attnWeights && !this.tracesAttnWeights) {
        throw new InputError('only the backend reference can trace attention weights');
      }
      const observed = trace && !this.#device.replacesActivations ? readOnly(trace) : trace;
      return this.#device.forward(ids, cache, logits, observed, attnWeights);
    });
  }

  fork(length?: number): Promise<Session> {
    return this.#whenFree(async (cache) => {
      const kept = length ?? cache.length;
      if (!Number.isInteger(kept) || kept < 0 || kept > cache.length) {
        throw new InputError(`fork() cannot keep ${kept} tokens: the session holds ${cache.length}`);
      }
      const copy = await this.#device.forkCache(cache);
      copy.length = kept;
      return new DeviceSession(this.#device, copy);
    });
  }

  reset(): void {
    this.#requireIdle('reset()');
    if (this.#cache) this.#cache.length = 0;
  }

  truncate(length: number): void {
    this.#requireIdle('truncate()');
    if (!Number.isSafeInteger(length) || length < 0 || length > this.length) {
      throw new InputError(`truncate: length must be an integer from 0 to ${this.length}, got ${String(length)}`);
    }
    if (this.#cache) this.#cache.length = length; // what follows is overwritten before it is read
  }

  async dispose(): Promise<void> {
    await this.#device.exclusive(() => {
      this.#cache?.dispose?.();
      this.#cache = null;
      return Promise.resolve();
    });
  }

  /** @throws InputError while a call is running or waiting. */
  #requireIdle(call: string): void {
    if (this.#pending === 0) return;
    throw new InputError(`${call} cannot run during forward() or fork(): wait for the other call first`);
  }

  /** Runs `body` when no other session uses the device. Until it ends, `reset()` and `truncate()` are refused. */
  async #whenFree<Result>(body: (cache: Cache) => Promise<Result>): Promise<Result> {
    this.#pending++;
    try {
      return await this.#device.exclusive(() => {
        if (!this.#cache) throw new InputError(DISPOSED);
        return body(this.#cache);
      });
    } finally {
      this.#pending--;
    }
  }
}

/** Refuses replacements, which a device would ignore. */
function readOnly(trace: Trace): Trace {
  return (name, value) => {
    if (trace(name, value)) throw new InputError(`only the backend reference can replace activations, here ${name}`);
  };
}

/** @throws BatchError for tokens that {@link checkTokens} refuses. */
function checkEntry(entry: number, ids: readonly number[], past: number, config: ModelConfig): void {
  try {
    checkTokens(ids, past, config);
  } catch (error) {
    throw error instanceof InputError ? new BatchError(entry, error.message) : error;
  }
}

/** Computes all parts, or leaves all caches as they were. */
async function forwardParts<Cache extends DeviceCache>(
  device: SessionDevice<Cache>,
  parts: readonly BatchPart<Cache>[],
): Promise<Float32Tensor[]> {
  if (parts.length === 0) return [];
  const held = parts.map(({ cache }) => cache.length);
  try {
    if (device.forwardBatch) return await device.forwardBatch(parts);
    const scores: Float32Tensor[] = [];
    for (const { ids, cache, logits } of parts) {
      scores.push(await device.forward(ids, cache, logits, undefined, false));
    }
    return scores;
  } catch (error) {
    parts.forEach(({ cache }, i) => (cache.length = held[i]));
    throw error;
  }
}
