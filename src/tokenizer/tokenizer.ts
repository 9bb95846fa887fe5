import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { messageOf } from '../../reference/lib/errors.js';
import { TokenizerError } from '../lib/errors.js';

/** Turns text into token ids and back, as a model folder's `tokenizer.json` says. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;
  /** The token that ends a text, if the tokenizer names one. */
  readonly eosId: number | undefined;

  /**
   * @param tokenizerJson the parsed `tokenizer.json`
   * @param tokenizerConfig the parsed `tokenizer_config.json`, if there is one; its `eos_token` ends texts, `</s>` else
   * @throws TokenizerError if it is no tokenizer that `@huggingface/tokenizers` can read.
   */
  constructor(tokenizerJson: unknown, tokenizerConfig: unknown = {}, source = 'tokenizer.json') {
    const config = tokenizerConfig as { eos_token?: string | { content: string } };
    try {
      // The library would drop spaces before punctuation unless told not to; a token is a token here.
      this.#tokenizer = new HuggingFaceTokenizer(tokenizerJson as object, {
        ...config,
        clean_up_tokenization_spaces: false,
      });
    } catch (error) {
      throw new TokenizerError(`${source}: not a tokenizer that can be read: ${messageOf(error)}`);
    }
    const eos = typeof config.eos_token === 'object' ? config.eos_token.content : config.eos_token;
    this.eosId = this.#tokenizer.token_to_id(eos ?? '</s>');
  }

  /** The ids of a text. Nothing is added at its start or end unless the tokenizer says so. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text).ids;
  }

  /** The text of ids, special tokens left out unless asked for. */
  decode(ids: readonly number[], { specialTokens = false }: { specialTokens?: boolean } = {}): string {
    if (ids.length === 0) return '';
    return this.#tokenizer.decode([...ids], { skip_special_tokens: !specialTokens });
  }

  /** The token of an id as the vocabulary spells it. */
  token(id: number): string {
    return this.#tokenizer.id_to_token(id) ?? `<${id}>`;
  }
}
