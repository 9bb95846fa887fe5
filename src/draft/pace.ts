import type { DraftCosts } from './draft.js';

/** The most tokens that are proposed at once. */
export const MAX_PROPOSED = 14;

/** Drafting that gains nothing may cost the time of this many tokens, and this share of a text. */
const FIRST_LOSS = 3;
const MAX_LOSS = 0.025;

/** How much one more token counts in the moving average. */
const WEIGHT = 0.2;

/** Tokens of an attempt while drafting pauses: three tokens take about as long as two. */
const ATTEMPT = 2;

/** Tokens between two attempts while drafting pauses, at first; doubled by each that fails. */
const FIRST_WAIT = 1;
const MAX_WAIT = 64;

/**
 * Decides how many tokens to draft: as many as should give the most tokens in a given time at the rate at which they were
 * accepted lately, or none. It counts tokens and reads no clock, so that a seed gives the same text on every machine.
 */
export class Pace {
  readonly #costs: DraftCosts;
  #rate: number;
  /** Tokens of the text since it began, and since the draft last saw it. */
  #made = 0;
  #missed = 0;
  /** What drafting has cost in all less what it gained, in times of one token. */
  #loss = 0;
  #wait = FIRST_WAIT;
  /** Whether any token has been accepted. */
  #isProven = false;

  constructor(costs: DraftCosts, expected: number) {
    this.#costs = costs;
    this.#rate = expected;
  }

  /** The number of tokens to draft now, up to `room`; 0 for none. */
  next(room: number): number {
    const best = this.#best();
    if (best > 0) return Math.min(this.#isProven ? best : Math.min(best, ATTEMPT), room);
    const loss = this.#loss + this.#costOf(ATTEMPT);
    const isAllowed = this.#missed >= this.#wait && loss <= FIRST_LOSS + MAX_LOSS * this.#made;
    return isAllowed ? Math.min(ATTEMPT, room) : 0;
  }

  /** Counts a token that was computed alone. */
  skip(): void {
    this.#made++;
    this.#missed++;
  }

  /** Counts a pass that checked `proposed` tokens and kept the first `accepted`. */
  record(proposed: number, accepted: number): void {
    this.#loss = Math.max(0, this.#loss + this.#costOf(proposed) - accepted);
    const paused = this.#best() === 0;
    if (accepted > 0) this.#isProven = true;
    for (let i = 0; i < accepted; i++) this.#rate += WEIGHT * (1 - this.#rate);
    if (accepted < proposed) this.#rate -= WEIGHT * this.#rate;
    if (paused) this.#wait = accepted > 0 ? FIRST_WAIT : Math.min(2 * this.#wait, MAX_WAIT);
    this.#made += accepted + 1;
    this.#missed = 0;
  }

  /** The cost of drafting n tokens and checking them. */
  #costOf(n: number): number {
    const { token, round, missed } = this.#costs;
    return round + n * token + this.#missed * missed;
  }

  /** The number that gives the most tokens a time; 0 if one token alone does. */
  #best(): number {
    const { token, round } = this.#costs;
    let best = 0;
    let max = 1;
    let tokens = 1; // expected of a pass: 1 + a + a² + …
    for (let n = 1; n <= MAX_PROPOSED; n++) {
      tokens += this.#rate ** n;
      const gain = tokens / (1 + round + n * token);
      if (gain <= max) continue;
      max = gain;
      best = n;
    }
    return best;
  }
}
