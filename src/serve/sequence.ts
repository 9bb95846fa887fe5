import type { Session } from '../backend.js';
import type { Choose } from './choose.js';
import { scoreToken, type Score } from './logprobs.js';

/** Tokens that may wait for a reader before their sequence pauses: a client that does not read holds up only itself. */
const MAX_UNREAD = 16;

export interface SequenceRequest {
  /** From 1 to block_size tokens. */
  prompt: readonly number[];
  /** The number of tokens to generate at most. */
  maxTokens: number;
  /** Tokens after which the sequence ends. */
  stopIds: readonly number[];
  choose: Choose;
  /** Score the generated tokens and name this many alternatives. */
  top?: number | undefined;
  /** The same for the tokens of the prompt. */
  promptTop?: number | undefined;
}

/** A generated token. */
export interface Token {
  id: number;
  /** If it was asked for. */
  score: Score | null;
}

/**
 * One text on its way through the scheduler. The scheduler adds tokens at one end, and one reader takes them from the
 * other.
 */
export class Sequence {
  readonly request: SequenceRequest;
  /** The prompt and what was generated. */
  readonly ids: number[];
  /** One for every token of the prompt if they were asked for; the first is null, for nothing comes before it. */
  readonly promptScores: (Score | null)[] = [null];
  /** Why it ended; null while it runs and after {@link cancel}. */
  finishReason: 'stop' | 'length' | null = null;
  /** Tokens of the prompt that came from the prefix cache. */
  cachedTokens = 0;
  /** Set by the scheduler while the sequence runs. */
  session: Session | null = null;
  readonly #onChange: () => void;
  readonly #unread: Token[] = [];
  #error: Error | null = null;
  #isDone = false;
  #wakeReader: (() => void) | null = null;

  /** @param onChange is called when the scheduler may have something to do */
  constructor(request: SequenceRequest, onChange: () => void) {
    this.request = request;
    this.ids = [...request.prompt];
    this.#onChange = onChange;
    if (request.maxTokens === 0) this.finishReason = 'length';
  }

  /** Whether no more tokens will come. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether the next step may advance it. */
  get isReady(): boolean {
    return !this.#isDone && this.#unread.length < MAX_UNREAD;
  }

  /** The tokens that its session has to see before it can go on. */
  get unseen(): readonly number[] {
    return this.ids.slice(this.session?.length ?? 0);
  }

  /** Whether the prompt has not been computed yet. */
  get isPrompt(): boolean {
    return (this.session?.length ?? 0) < this.request.prompt.length;
  }

  /**
   * Waits for the next token.
   *
   * @returns null at the end
   * @throws whatever ended the sequence early.
   */
  async next(): Promise<Token | null> {
    while (this.#unread.length === 0 && !this.#isDone)
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    if (this.#error) throw this.#error;
    const token = this.#unread.shift() ?? null;
    if (this.#unread.length === MAX_UNREAD - 1) this.#onChange();
    return token;
  }

  /** Ends it: nobody wants the rest. */
  cancel(): void {
    if (this.#isDone) return;
    this.#end();
    this.#onChange();
  }

  /** Ends it with an error, which the reader gets at once. */
  fail(error: Error): void {
    if (this.#isDone) return;
    this.#error = error;
    this.#end();
  }

  /** Takes scores of the prompt that another sequence has computed, with `top` of their alternatives. */
  takeScores(scores: readonly (Score | null)[], top: number): void {
    for (const score of scores) this.promptScores.push(score && { ...score, top: score.top.slice(0, top) });
  }

  /**
   * Takes the logits [T, V] or [1, V] after a step that advanced its session to `length` tokens. Scores the prompt and
   * chooses the next token once the prompt is complete.
   */
  accept(logits: Float32Array, rows: number, length: number): void {
    if (this.#isDone) return;
    const { prompt, promptTop, top, maxTokens, choose, stopIds } = this.request;
    const V = logits.length / rows;
    const row = (t: number): Float32Array => logits.subarray(t * V, (t + 1) * V);
    if (promptTop !== undefined && this.promptScores.length < prompt.length) {
      for (let t = 0; t < rows; t++) {
        const next = length - rows + t + 1;
        if (next < prompt.length) this.promptScores.push(scoreToken(row(t), prompt[next], promptTop));
      }
    }
    if (length < prompt.length) return;
    if (maxTokens === 0) {
      this.#end();
      return;
    }
    const last = row(rows - 1);
    const id = choose(last, this.ids.slice(prompt.length));
    this.ids.push(id);
    this.#unread.push({ id, score: top === undefined ? null : scoreToken(last, id, top) });
    if (stopIds.includes(id)) this.finishReason = 'stop';
    else if (this.ids.length - prompt.length === maxTokens) this.finishReason = 'length';
    if (this.finishReason) this.#end();
    else this.#wake();
  }

  #end(): void {
    this.#isDone = true;
    this.#wake();
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakeReader = null;
  }
}
