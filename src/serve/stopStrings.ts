/**
 * Ends a text before the first of several strings, wherever the borders of its pieces fall. Text that may be the beginning
 * of a stop string is held back until that is decided.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #isFound = false;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop string has come. The text has then ended. */
  get isFound(): boolean {
    return this.#isFound;
  }

  /** Adds a piece. Returns the text that is certainly before any stop string. */
  push(piece: string): string {
    if (this.#isFound) return '';
    const text = this.#held + piece;
    const starts = this.#stops.map((stop) => text.indexOf(stop)).filter((start) => start !== -1);
    if (starts.length > 0) {
      this.#isFound = true;
      this.#held = '';
      return text.slice(0, Math.min(...starts));
    }
    const length = text.length - this.#longestBeginning(text);
    this.#held = text.slice(length);
    return text.slice(0, length);
  }

  /** Ends the text without a stop string. Returns what was held back. */
  end(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** The length of the longest end of `text` with which a stop string begins. */
  #longestBeginning(text: string): number {
    const longest = this.#stops.reduce((length, stop) => Math.max(length, stop.length - 1), 0);
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
