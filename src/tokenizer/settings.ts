import * as v from 'valibot';
import { TokenizerError } from '../lib/errors.js';
import { isCount, isMapOf, isObject, isString } from '../lib/guards.js';
import { checkJson, objectOf, type JsonSource } from '../lib/json.js';
import { quote } from '../lib/quote.js';
import { TOKEN_SCHEMA } from './endOfText.js';

/** The models that `@huggingface/tokenizers` computes. It takes any other for a list of words. */
const MODEL_TYPES: readonly unknown[] = ['BPE', 'WordPiece', 'Unigram', 'WordLevel', undefined];

/** A token beside the vocabulary. */
interface AddedToken {
  id: number;
  content: string;
  single_word?: unknown;
}

/** The list `added_tokens` of `tokenizer.json`. */
export const ADDED_TOKENS: v.GenericSchema<AddedToken[] | null | undefined> = v.nullish(
  v.array(
    objectOf(
      { id: v.custom<number>(isCount, 'must be a token id'), content: v.string('must be a token') },
      'must be an object with id and content',
    ),
    'must be a list',
  ),
);

const TOKENIZER = objectOf(
  {
    model: objectOf(
      {
        vocab: v.custom<object>(isVocabulary, 'must map tokens to ids'),
        merges: v.nullish(v.custom<unknown[]>(isMerges, 'must be a list of pairs of tokens')),
        unk_token: v.nullish(v.string('must be a token')),
        continuing_subword_prefix: v.nullish(v.string('must be a string')),
        end_of_word_suffix: v.nullish(v.string('must be a string')),
        dropout: v.nullish(v.number('must be a number')),
      },
      'must be an object',
    ),
    added_tokens: ADDED_TOKENS,
  },
  'must be a JSON object',
);

const CONFIG = objectOf({ eos_token: TOKEN_SCHEMA }, 'must be a JSON object');

/** A map from tokens to ids, or a list of tokens and their scores. */
function isVocabulary(vocab: unknown): boolean {
  if (!Array.isArray(vocab)) return isMapOf(vocab, isCount);
  return vocab.every((entry) => Array.isArray(entry) && isString(entry[0]) && typeof entry[1] === 'number');
}

/** Pairs as lists, or as strings with a space between the tokens; not both. */
function isMerges(merges: unknown): boolean {
  if (!Array.isArray(merges)) return false;
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2 && pair.every(isString);
  return merges.every(isString) || merges.every(isPair);
}

/**
 * Checks the two files of a tokenizer, and looks for settings with which `@huggingface/tokenizers` computes other ids or
 * another text than Python. Those that concern every text are refused.
 *
 * @returns a warning for each setting that is ignored
 * @throws TokenizerError that names the file, the setting and the fault.
 */
export function checkSettings(json: unknown, config: unknown, source: JsonSource, configSource: JsonSource): string[] {
  const { path } = source;
  const tokenizer = checkJson(TOKENIZER, json, source);
  const settings = checkJson(CONFIG, config, configSource);
  const { model, added_tokens } = tokenizer;
  if (!MODEL_TYPES.includes(model.type)) {
    throw new TokenizerError(`${path}: "model.type" ${quote(model.type)} is not supported`);
  }
  const isBpe = model.type === 'BPE' || (model.type === undefined && model.merges != null);
  if (isBpe && !model.merges) throw new TokenizerError(`${path}: "model.merges" is missing`);
  if (isBpe && model.continuing_subword_prefix) {
    const prefix = quote(model.continuing_subword_prefix);
    throw new TokenizerError(`${path}: "model.continuing_subword_prefix" ${prefix} is not supported for BPE`);
  }
  const warnings: string[] = [];
  const single = added_tokens?.find((token) => token.single_word === true);
  if (single) {
    warnings.push(`${path}: "single_word" of ${quote(single.content)} is ignored: it is also found inside of words`);
  }
  if (model.dropout) warnings.push(`${path}: "model.dropout" is ignored: no merge is left out`);
  if (isSet(tokenizer.truncation)) warnings.push(`${path}: "truncation" is ignored: texts are encoded whole`);
  if (isSet(tokenizer.padding)) warnings.push(`${path}: "padding" is ignored: nothing is added`);
  return [...warnings, ...ignoredKeys(settings, tokenizer.post_processor, configSource.path)];
}

function ignoredKeys(settings: Record<string, unknown>, postProcessor: unknown, path: string): string[] {
  const warnings: string[] = [];
  for (const key of ['add_bos_token', 'add_eos_token']) {
    if (settings[key] === true && !isSet(postProcessor)) {
      warnings.push(`${path}: "${key}" is ignored: only the post-processor of tokenizer.json adds tokens`);
    }
  }
  if (settings.split_special_tokens === true) {
    warnings.push(`${path}: "split_special_tokens" is ignored: special tokens in a text are recognized`);
  }
  if (settings.clean_up_tokenization_spaces === true) {
    warnings.push(`${path}: "clean_up_tokenization_spaces" is ignored: decoding keeps spaces before punctuation`);
  }
  return warnings;
}

function isSet(setting: unknown): boolean {
  return isObject(setting);
}
