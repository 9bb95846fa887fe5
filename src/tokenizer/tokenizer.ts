import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { messageOf } from '../../reference/lib/errors.js';
import { TokenizerError } from '../lib/errors.js';
import { cutsOf } from './cuts.js';
import { PieceEncoder } from './pieceEncoder.js';

/** Converts text to token ids and back, using a model folder's `tokenizer.json`. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #pieces: PieceEncoder;
  /** The id of the end-of-text token, if the tokenizer has one. */
  readonly eosId: number | undefined;

  /**
   * @param tokenizerJson the parsed `tokenizer.json`
   * @param tokenizerConfig the parsed `tokenizer_config.json`, if it exists; its `eos_token` defaults to `</s>`
   * @param source the name of the file to use in messages
   * @throws TokenizerError if `@huggingface/tokenizers` cannot read it.
   */
  constructor(tokenizerJson: unknown, tokenizerConfig: unknown = {}, source = 'tokenizer.json') {
    const config = tokenizerConfig as { eos_token?: string | { content: string } };
    try {
      // By default, the library removes spaces before punctuation when it decodes.
      this.#tokenizer = new HuggingFaceTokenizer(tokenizerJson as object, {
        ...config,
        clean_up_tokenization_spaces: false,
      });
      const isCut = cutsOf(tokenizerJson, tokenizerConfig);
      this.#pieces = new PieceEncoder((text) => this.#tokenizer.encode(text).ids, isCut, source);
    } catch (error) {
      throw new TokenizerError(`${source}: cannot be read as a tokenizer: ${messageOf(error)}`);
    }
    const eos = typeof config.eos_token === 'object' ? config.eos_token.content : config.eos_token;
    this.eosId = this.#tokenizer.token_to_id(eos ?? '</s>');
  }

  /** Encodes a text. Adds no tokens at its start or end unless the tokenizer defines a post-processor. */
  encode(text: string): number[] {
    return this.#pieces.encode(text);
  }

  /**
   * Encodes a text that arrives in chunks, and yields ids as soon as no later text can change them. Joined, they are the
   * ids of the whole text.
   *
   * @throws TokenizerError if too much text has no place where this tokenizer lets it be cut.
   */
  encodeChunks(chunks: AsyncIterable<string>): AsyncGenerator<number[], void, undefined> {
    return this.#pieces.encodeChunks(chunks);
  }

  /**
   * The end of a text, at least `length` UTF-16 units long, whose ids are the last ids of the whole text.
   *
   * @throws TokenizerError if the text is longer and has no place where this tokenizer lets it be cut.
   */
  tail(text: string, length: number): string {
    return this.#pieces.tail(text, length);
  }

  /** Decodes ids. Omits special tokens unless `specialTokens` is true. */
  decode(ids: readonly number[], { specialTokens = false }: { specialTokens?: boolean } = {}): string {
    if (ids.length === 0) return '';
    return this.#tokenizer.decode([...ids], { skip_special_tokens: !specialTokens });
  }

  /** The token of an id, exactly as in the vocabulary. */
  token(id: number): string {
    return this.#tokenizer.id_to_token(id) ?? `<${id}>`;
  }
}
