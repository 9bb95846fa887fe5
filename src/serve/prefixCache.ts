import type { Session } from '../backend.js';
import type { Score } from './logprobs.js';

/** Tokens that a session holds, for others to begin with. */
export interface Prefix {
  ids: readonly number[];
  session: Session;
  /** Scores of the first tokens; at least the null of the first. */
  scores: readonly (Score | null)[];
  /** How many alternatives the scores name; undefined if only the first token has one. */
  top: number | undefined;
}

/** A shorter beginning is computed again: a fork would cost as much. */
const MIN_SHARED = 4;

/** What a prefix has ready, or will have. */
export interface Ready {
  ids: readonly number[];
  /** The number of tokens that its session holds. */
  held: number;
  /** The number of its scores, and of the alternatives that they name. */
  scores: number;
  top: number | undefined;
}

/**
 * How many tokens of a prompt a prefix spares: at least one has to be computed, for the logits after it. If the prompt's
 * tokens are to be scored, the scores up to the next token have to be known as well.
 *
 * @param promptTop alternatives to name for every token of the prompt; undefined if it is not to be scored
 */
export function sparedTokens(
  prompt: readonly number[],
  { ids, held, scores, top = -1 }: Ready,
  promptTop: number | undefined,
): number {
  let common = 0;
  while (common < prompt.length && common < ids.length && prompt[common] === ids[common]) common++;
  const isScored = promptTop !== undefined;
  if (isScored && top < promptTop) return 0;
  const known = isScored ? Math.min(common, scores) - 1 : common;
  const spared = Math.min(known, held, prompt.length - 1);
  return spared >= MIN_SHARED ? spared : 0;
}

/** Sessions of texts that have ended, kept for texts that begin alike. The least recently used go first. */
export class PrefixCache {
  readonly #maxTokens: number;
  /** The most recently used last. */
  #entries: Prefix[] = [];

  /** @param maxTokens the number of tokens to keep, of all texts together */
  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens;
  }

  get entries(): readonly Prefix[] {
    return this.#entries;
  }

  /** The number of tokens kept. */
  get tokens(): number {
    return this.#entries.reduce((sum, { session }) => sum + session.length, 0);
  }

  /** Keeps a session, which belongs to the cache from now on. */
  add(entry: Prefix): void {
    const { length } = entry.session;
    const known = this.#entries.find((other) => contains(other, entry));
    if (length < MIN_SHARED || length > this.#maxTokens || known) {
      free(entry.session);
      if (known) this.touch(known);
      return;
    }
    for (const shorter of this.#entries.filter((other) => contains(entry, other))) this.#remove(shorter);
    this.#entries.push(entry);
    while (this.tokens > this.#maxTokens) this.#remove(this.#entries[0]);
  }

  /** Marks an entry as used. */
  touch(entry: Prefix): void {
    if (!this.#entries.includes(entry)) return;
    this.#entries = [...this.#entries.filter((other) => other !== entry), entry];
  }

  clear(): void {
    for (const entry of [...this.#entries]) this.#remove(entry);
  }

  #remove(entry: Prefix): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
    free(entry.session);
  }
}

/** Frees a session when its turn comes. If the device is gone, so is the session. */
export function free(session: Session): void {
  session.dispose().catch(() => undefined);
}

/** Whether `longer` begins with all tokens and scores of `shorter`. */
function contains(longer: Prefix, shorter: Prefix): boolean {
  return (
    longer.session.length >= shorter.session.length &&
    (shorter.top === undefined || (longer.top ?? -1) >= shorter.top) &&
    longer.scores.length >= shorter.scores.length &&
    shorter.ids.slice(0, shorter.session.length).every((id, i) => id === longer.ids[i])
  );
}
