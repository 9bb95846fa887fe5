import type { BatchEntry } from '../backend.js';
import { DeviceError } from '../../accel/errors.js';
import type { LanguageModel } from '../languageModel.js';
import { yieldToEventLoop } from '../feed.js';
import { ApiError } from './apiError.js';
import { free, PrefixCache, sparedTokens, type Prefix } from './prefixCache.js';
import { Sequence, type SequenceRequest } from './sequence.js';

export interface SchedulerOptions {
  /** Sequences that advance together. */
  maxSequences: number;
  /** Requests that may wait for a place. */
  maxQueue: number;
  /** Called once if the backend fails. */
  onFailure?: ((error: Error) => void) | undefined;
}

/** Counts since the start, and what is going on now. */
export interface SchedulerStats {
  active: number;
  queuedRequests: number;
  queuedSequences: number;
  steps: number;
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  /** Tokens that the prefix cache holds. */
  prefixTokens: number;
}

/** What part of a sequence a step computes. */
interface Part {
  sequence: Sequence;
  entry: BatchEntry;
}

/**
 * Continuous batching: every step advances all running sequences by one token each, and some tokens of the prompts of those
 * that have just joined. Sequences join and leave between steps. Prompts share a limited number of tokens a step, so a
 * long one does not stall the others. A beginning that another text has already computed is forked from it.
 *
 * Each sequence gets the logits that it would get alone, so company changes no result.
 */
export class Scheduler {
  readonly #model: LanguageModel;
  readonly #options: SchedulerOptions;
  readonly #prefixes: PrefixCache;
  /** In the order in which they compute their prompts. */
  readonly #active = new Set<Sequence>();
  /** The waiting sequences of each request. Requests take turns, so that a large one does not hold up the others. */
  #queue: Sequence[][] = [];
  #failure: Error | null = null;
  #isRunning = false;
  #wake: (() => void) | null = null;
  readonly #counts = { steps: 0, promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };

  constructor(model: LanguageModel, options: SchedulerOptions) {
    this.#model = model;
    this.#options = options;
    this.#prefixes = new PrefixCache(2 * model.config.blockSize);
  }

  get stats(): SchedulerStats {
    return {
      active: this.#active.size,
      queuedRequests: this.#queue.length,
      queuedSequences: this.#queue.reduce((sum, { length }) => sum + length, 0),
      ...this.#counts,
      prefixTokens: this.#prefixes.tokens,
    };
  }

  /**
   * Lines up the sequences of one request.
   *
   * @throws ApiError 429 if too many requests wait; 503 after {@link stop} or a failure of the backend.
   */
  submit(requests: readonly SequenceRequest[]): Sequence[] {
    if (this.#failure) throw this.#failure;
    const isFull = this.#active.size + this.#queue.length >= this.#options.maxSequences;
    if (isFull && this.#queue.length >= this.#options.maxQueue) {
      throw new ApiError(429, `the server is busy: ${this.#queue.length} requests are waiting`, {
        code: 'rate_limit_exceeded',
        headers: { 'retry-after': '1' },
      });
    }
    const sequences = requests.map(
      (request) =>
        new Sequence(request, () => {
          this.#notify();
        }),
    );
    this.#queue.push([...sequences]);
    this.#notify();
    return sequences;
  }

  /** Ends all sequences with an error and refuses new ones with the same. */
  stop(error: Error): void {
    this.#failure ??= error;
    for (const sequence of [...this.#active, ...this.#queue.flat()]) sequence.fail(error);
    this.#notify();
  }

  /** Something has changed: leave the dead, and run if anything is alive. */
  #notify(): void {
    this.#queue = this.#queue.map((group) => group.filter(({ isDone }) => !isDone)).filter(({ length }) => length > 0);
    this.#wake?.();
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        this.#release();
        if (this.#failure) this.#prefixes.clear();
        this.#admit();
        if (this.#active.size === 0) break;
        const parts = await this.#plan();
        if (parts.length > 0) await this.#step(parts);
        else if ([...this.#active].every(({ isReady, isDone }) => !isReady && !isDone)) await this.#changed();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isRunning = false;
  }

  /** Lets waiting sequences join, one of each request in turn. */
  #admit(): void {
    while (this.#active.size < this.#options.maxSequences && this.#queue.length > 0) {
      const [group, ...others] = this.#queue;
      const [first, ...rest] = group;
      this.#active.add(first);
      this.#queue = rest.length > 0 ? [...others, rest] : others;
    }
  }

  /** Lets ended sequences leave. What they computed stays in the prefix cache. */
  #release(): void {
    for (const sequence of [...this.#active].filter(({ isDone }) => isDone)) {
      this.#active.delete(sequence);
      const { session, ids, promptScores: scores, request } = sequence;
      sequence.session = null;
      if (session) this.#prefixes.add({ session, ids, scores, top: request.promptTop });
    }
  }

  /** Decides what the next step computes. */
  async #plan(): Promise<Part[]> {
    const ready = [...this.#active].filter(({ isReady }) => isReady);
    const parts = ready
      .filter(({ isPrompt }) => !isPrompt)
      .map((sequence) => ({ sequence, entry: { session: sequence.session!, ids: sequence.unseen } }));
    let room = Infinity;
    for (const sequence of ready.filter(({ isPrompt }) => isPrompt)) {
      if (room <= 0) break;
      if (!sequence.session && !(await this.#tryOpen(sequence))) continue;
      const session = sequence.session!;
      room = Math.min(room, session.chunk);
      const ids = sequence.unseen.slice(0, room);
      room -= ids.length;
      const logits = sequence.request.promptTop === undefined ? 'last' : 'all';
      parts.push({ sequence, entry: { session, ids, logits } as BatchEntry });
      this.#counts.promptTokens += ids.length;
      this.#active.delete(sequence); // to the end of the line
      this.#active.add(sequence);
    }
    return parts.filter(({ sequence }) => !sequence.isDone);
  }

  /** {@link #open}, where a lack of memory ends only the sequence that asked for it. */
  async #tryOpen(sequence: Sequence): Promise<boolean> {
    try {
      return await this.#open(sequence);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#prefixes.clear();
      sequence.fail(new ApiError(503, error.message, { code: 'out_of_memory', headers: { 'retry-after': '1' } }));
      return false;
    }
  }

  /**
   * Opens a session for a prompt: a fork of the text that shares the longest beginning with it. If a running prompt will
   * soon share more, it waits for that.
   *
   * @returns false if it waits
   */
  async #open(sequence: Sequence): Promise<boolean> {
    const { prompt, promptTop } = sequence.request;
    const running = [...this.#active].filter((other) => other.session);
    const sources: Prefix[] = [
      ...this.#prefixes.entries,
      ...running.map(({ ids, session, promptScores: scores, request }) => ({
        ids,
        session: session!,
        scores,
        top: request.promptTop,
      })),
    ];
    let best: Prefix | null = null;
    let length = 0;
    for (const source of sources) {
      const { ids, session, scores, top } = source;
      const spared = sparedTokens(prompt, { ids, held: session.length, scores: scores.length, top }, promptTop);
      if (spared > length) [best, length] = [source, spared];
    }
    const willShareMore = running.some((other) => {
      if (!other.isPrompt || !other.isReady) return false;
      const { prompt: ids, promptTop: top } = other.request;
      return sparedTokens(prompt, { ids, held: ids.length, scores: ids.length, top }, promptTop) > length;
    });
    if (willShareMore) return false;

    if (best) {
      sequence.session = await best.session.fork(length);
      if (promptTop !== undefined) sequence.takeScores(best.scores.slice(1, length + 1), promptTop);
      this.#prefixes.touch(best);
    } else {
      sequence.session = await this.#model.openSession();
    }
    sequence.cachedTokens = length;
    this.#counts.cachedTokens += length;
    return true;
  }

  async #step(parts: readonly Part[]): Promise<void> {
    await yieldToEventLoop();
    const batch = parts.map(({ entry }) => entry);
    const scores = await this.#model.forwardBatch(batch).catch((error: unknown) => {
      if (!(error instanceof DeviceError) || this.#prefixes.tokens === 0) throw error;
      this.#prefixes.clear(); // perhaps that is the memory that was missing
      return this.#model.forwardBatch(batch);
    });
    this.#counts.steps++;
    for (const [i, { sequence, entry }] of parts.entries()) {
      const before = sequence.ids.length;
      try {
        sequence.accept(scores[i].data, scores[i].shape[0], entry.session.length);
      } catch (error) {
        sequence.fail(error instanceof Error ? error : new Error(String(error)));
      }
      this.#counts.generatedTokens += sequence.ids.length - before;
    }
  }

  /** Waits until a sequence is read, canceled or submitted. */
  async #changed(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = null;
  }

  #fail(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    this.stop(new ApiError(503, `the model cannot compute any more: ${cause.message}`, { code: 'backend_failed' }));
    for (const { session } of this.#active) if (session) free(session);
    this.#active.clear();
    this.#queue = [];
    this.#options.onFailure?.(cause);
  }
}
