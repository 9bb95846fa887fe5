import { TokenizerError } from '../lib/errors.js';
import type { IsCut } from './cuts.js';

/**
 * The longest text without a cut, in UTF-16 units, when the text arrives in chunks. It can take a minute and 1 GB. Prose has
 * a cut every few characters; only unusual texts and tokenizers come near this limit.
 */
const MAX_UNCUT = 2 ** 21;

/** Remember the ids of pieces up to this length; longer ones rarely recur. */
const MAX_REMEMBERED_LENGTH = 32;
const MAX_REMEMBERED = 2 ** 15;

/**
 * Encodes a text piece by piece. Short pieces recur, so their ids are remembered. The tokenizer itself builds a heap over
 * all characters of a text that it is given.
 */
export class PieceEncoder {
  readonly #encode: (text: string) => number[];
  readonly #isCut: IsCut | null;
  readonly #source: string;
  readonly #maxUncut: number;
  readonly #remembered = new Map<string, readonly number[]>();

  /**
   * @param encode encodes one text as a whole
   * @param isCut null if the tokenizer needs the whole text
   * @param source the name of the file to use in messages
   */
  constructor(encode: (text: string) => number[], isCut: IsCut | null, source: string, maxUncut: number = MAX_UNCUT) {
    this.#encode = encode;
    this.#isCut = isCut;
    this.#source = source;
    this.#maxUncut = maxUncut;
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    const end = this.#encodeUpToLastCut(text, 1, ids);
    append(ids, this.#idsOf(text.slice(end)));
    return ids;
  }

  async *encodeChunks(chunks: AsyncIterable<string>): AsyncGenerator<number[], void, undefined> {
    let pending = '';
    let scanned = 1;
    for await (const chunk of chunks) {
      pending += chunk;
      const ids: number[] = [];
      const end = this.#encodeUpToLastCut(pending, scanned, ids);
      pending = pending.slice(end);
      scanned = Math.max(1, pending.length - 1); // a cut depends on one unit before it and two after it
      if (pending.length > this.#maxUncut) throw this.#uncut(this.#maxUncut);
      if (ids.length > 0) yield ids;
    }
    if (pending !== '' || !this.#isCut) yield this.encode(pending);
  }

  tail(text: string, length: number): string {
    if (text.length <= length) return text;
    if (!this.#isCut) throw this.#uncut(length);
    let start = text.length - length;
    while (start > 0 && !this.#isCut(text, start)) start--;
    if (start === 0) throw this.#uncut(length);
    return text.slice(start);
  }

  /** Encodes all pieces that end in a cut. Returns where the last one ends. */
  #encodeUpToLastCut(text: string, from: number, ids: number[]): number {
    if (!this.#isCut) return 0;
    let start = 0;
    for (let i = from; i < text.length; i++) {
      if (!this.#isCut(text, i)) continue;
      append(ids, this.#idsOf(text.slice(start, i)));
      start = i;
    }
    return start;
  }

  #idsOf(piece: string): readonly number[] {
    if (piece.length > MAX_REMEMBERED_LENGTH) return this.#encode(piece);
    const known = this.#remembered.get(piece);
    if (known) return known;
    const ids = this.#encode(piece);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(piece, ids);
    return ids;
  }

  #uncut(length: number): TokenizerError {
    const limit = length.toLocaleString('en-US');
    return new TokenizerError(
      this.#isCut
        ? `${this.#source}: the text has more than ${limit} characters in a row that must be encoded together`
        : `${this.#source}: the text has more than ${limit} characters, and this tokenizer must encode them together`,
    );
  }
}

function append(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id);
}
