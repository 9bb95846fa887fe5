import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TokenizerError } from '../lib/errors.js';
import { isCount } from '../lib/guards.js';
import { foreignMessage, quote } from '../lib/quote.js';
import { cutsOf } from './cuts.js';
import { endByName, resolveEnds, type EndOfText } from './endOfText.js';
import { PieceEncoder } from './pieceEncoder.js';
import { checkSettings } from './settings.js';

/** Converts text to token ids and back, using a model folder's `tokenizer.json`. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #pieces: PieceEncoder;
  /** The ids of all tokens that end a text. */
  readonly eosIds: readonly number[];
  /** What the files say that has no effect here, one line each. */
  readonly warnings: readonly string[];
  readonly #source: string;

  /**
   * @param tokenizerJson the parsed `tokenizer.json`
   * @param tokenizerConfig the parsed `tokenizer_config.json`, if it exists
   * @param source the name of the file to use in messages
   * @param ends end-of-text tokens that files beside `tokenizer_config.json` name; if no file names one, it is `</s>`
   * @throws TokenizerError if the files are malformed or `@huggingface/tokenizers` cannot read them.
   */
  constructor(
    tokenizerJson: unknown,
    tokenizerConfig: unknown = {},
    source = 'tokenizer.json',
    ends: readonly EndOfText[] = [],
  ) {
    this.#source = source;
    const configSource = { path: source.replace(/tokenizer\.json$/, 'tokenizer_config.json'), Fault: TokenizerError };
    const ignored = checkSettings(
      tokenizerJson,
      tokenizerConfig,
      { path: source, Fault: TokenizerError },
      configSource,
    );
    try {
      // By default, the library removes spaces before punctuation when it decodes.
      this.#tokenizer = new HuggingFaceTokenizer(tokenizerJson as object, {
        ...(tokenizerConfig as object),
        clean_up_tokenization_spaces: false,
      });
      const isCut = cutsOf(tokenizerJson, tokenizerConfig);
      this.#pieces = new PieceEncoder((text) => this.#encodeWhole(text), isCut, source);
    } catch (error) {
      throw new TokenizerError(`${source}: cannot be read as a tokenizer: ${foreignMessage(error)}`);
    }
    const { ids, warnings } = resolveEnds([...endByName(tokenizerConfig, configSource), ...ends], {
      idOf: (token) => this.#tokenizer.token_to_id(token),
      has: (id) => this.#tokenizer.id_to_token(id) !== undefined,
    });
    this.eosIds = ids;
    this.warnings = [...ignored, ...warnings];
  }

  /** The first of {@link eosIds}. */
  get eosId(): number | undefined {
    return this.eosIds[0];
  }

  /**
   * Encodes a text. Adds no tokens at its start or end unless the tokenizer defines a post-processor.
   *
   * @throws TokenizerError if the vocabulary cannot express the text.
   */
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

  /**
   * Decodes ids. Omits special tokens unless `specialTokens` is true.
   *
   * @throws TokenizerError if the decoder of the file fails.
   */
  decode(ids: readonly number[], { specialTokens = false }: { specialTokens?: boolean } = {}): string {
    if (ids.length === 0) return '';
    try {
      return this.#tokenizer.decode([...ids], { skip_special_tokens: !specialTokens });
    } catch (error) {
      throw new TokenizerError(`${this.#source}: cannot decode ${ids.length} ids: ${foreignMessage(error)}`);
    }
  }

  /** The token of an id, exactly as in the vocabulary. */
  token(id: number): string {
    return this.#tokenizer.id_to_token(id) ?? `<${id}>`;
  }

  #encodeWhole(text: string): number[] {
    let encoded: { ids: number[]; tokens: string[] };
    try {
      encoded = this.#tokenizer.encode(text);
    } catch (error) {
      throw new TokenizerError(
        `${this.#source}: cannot encode a text of ${text.length} characters: ${foreignMessage(error)}`,
      );
    }
    const { ids, tokens } = encoded;
    const unknown = ids.findIndex((id) => !isCount(id));
    if (unknown === -1) return ids;
    throw new TokenizerError(`${this.#source}: no token for ${quote(tokens[unknown])}, and no unk_token`);
  }
}
