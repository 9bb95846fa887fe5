import type { Tokenizer } from './tokenizer/tokenizer.js';

type Decoder = Pick<Tokenizer, 'encode' | 'decode'>;

/** Shrink the window at this many ids. A short window is cheap to decode again for every new id. */
const WINDOW = 8;

/**
 * Context that a shrunk window must keep, in UTF-16 units. Decoders treat the first token of a text differently (many drop
 * its leading space), so a new id must never come first. A window may also start in the middle of a character, whose
 * remaining bytes, at most three, decode to at most three units.
 */
const MIN_CONTEXT = 4;

/**
 * Decodes a growing sequence of ids into pieces of text. Joined, the pieces are exactly the text that the tokenizer gives
 * for the whole sequence.
 *
 * The text of a token can depend on its neighbors: the bytes of one character may be spread over several tokens, and many
 * decoders put spaces between tokens. So each step decodes a short window of recent ids and returns the text that no
 * earlier step returned. The cost of an id does not depend on the length of the text.
 */
export class TextStream {
  readonly #tokenizer: Decoder;
  /** An id with visible text, to put around other ids. `undefined` if the tokenizer has none for `a`. */
  readonly #letter: number | undefined;
  #window: number[] = [];
  #text = '';
  /** How much of the window's text has been returned. */
  #shown = 0;

  constructor(tokenizer: Decoder) {
    this.#tokenizer = tokenizer;
    this.#letter = tokenizer.encode('a').find((id) => tokenizer.decode([id]).includes('a'));
  }

  /** Adds an id. Returns the text that later ids can no longer change, which may be empty. */
  push(id: number): string {
    this.#window.push(id);
    // A window this long could not shrink. Blank tokens will not help; wait for a visible one before decoding it again.
    if (this.#window.length > WINDOW && this.#isBlank(id)) return '';
    this.#text = this.#tokenizer.decode(this.#window);
    const piece = this.#take(completeLength(this.#text));
    if (this.#window.length >= WINDOW) this.#shrink();
    return piece;
  }

  /** Ends the text. Returns the text held back, such as U+FFFD for a character whose last bytes never came. */
  end(): string {
    this.#text = this.#tokenizer.decode(this.#window);
    return this.#take(this.#text.length);
  }

  #take(length: number): string {
    const piece = this.#text.slice(this.#shown, length);
    this.#shown = Math.max(this.#shown, length);
    return piece;
  }

  /** Drops the older half of the window, unless the newer half has too little text to serve as context. */
  #shrink(): void {
    const kept = this.#window.slice(this.#window.length >> 1);
    const text = this.#tokenizer.decode(kept);
    const held = this.#text.slice(this.#shown);
    if (text.length < MIN_CONTEXT + held.length || !text.endsWith(held)) return;
    this.#window = kept;
    this.#text = text;
    this.#shown = text.length - held.length;
  }

  /** Whether an id adds nothing but spaces between two letters, as special tokens do, which decoding skips. */
  #isBlank(id: number): boolean {
    if (this.#letter === undefined) return false;
    const alone = this.#tokenizer.decode([this.#letter, this.#letter]);
    const between = this.#tokenizer.decode([this.#letter, id, this.#letter]);
    return between.replace(/\s/g, '') === alone.replace(/\s/g, '');
  }
}

/**
 * How much of a text later tokens cannot change. A final U+FFFD may stand for the first bytes of a character, and a final
 * high surrogate for the first half of one.
 */
function completeLength(text: string): number {
  const length = text.endsWith('\ufffd') ? text.length - 1 : text.length;
  const last = text.charCodeAt(length - 1); // NaN for an empty text
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return isHighSurrogate ? length - 1 : length;
}
