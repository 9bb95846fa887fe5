import * as v from 'valibot';
import { TokenizerError } from '../lib/errors.js';
import { isCount, isMapOf, isString } from '../lib/guards.js';
import { checkJson, MAX_TOKENIZER_JSON, objectOf } from '../lib/json.js';
import { readJson, type Folder } from '../folder/folder.js';
import { ADDED_TOKENS } from './settings.js';

/** A vocabulary of byte-pair encoding over characters. */
export interface BytePairVocabulary {
  /** The text of each id. */
  readonly tokens: readonly string[];
  /** Pairs of texts that are merged, in order of priority. */
  readonly merges: readonly (readonly [string, string])[];
  /** Ids that are no part of a text. */
  readonly special: ReadonlySet<number>;
}

const PAIR = v.union([v.string(), v.strictTuple([v.string(), v.string()])], 'must be a list of pairs of tokens');

const SCHEMA = objectOf(
  {
    model: objectOf(
      {
        type: v.literal('BPE', 'must be BPE'),
        vocab: v.custom<Record<string, number>>((map) => isMapOf(map, isCount), 'must map tokens to ids'),
        merges: v.array(PAIR, 'must be a list of pairs of tokens'),
      },
      'must be an object',
    ),
    pre_tokenizer: v.optional(v.null('must be absent')),
    added_tokens: ADDED_TOKENS,
  },
  'must be a JSON object',
);

/**
 * Reads the vocabulary of a folder's `tokenizer.json`; null if the folder has no such file.
 *
 * @param vocabSize V; ids without a token get a text of their own
 * @throws TokenizerError if the tokenizer is not byte-pair encoding over characters, without a pre-tokenizer
 */
export async function readBytePairs(folder: Folder, vocabSize: number): Promise<BytePairVocabulary | null> {
  const json = await readJson(folder, 'tokenizer.json', TokenizerError, MAX_TOKENIZER_JSON);
  if (json === undefined) return null;
  const { model, added_tokens } = checkJson(SCHEMA, json, {
    path: folder.pathOf('tokenizer.json'),
    Fault: TokenizerError,
  });
  const tokens = Array.from({ length: vocabSize }, (_, id) => `<unused_${id}>`);
  for (const [text, id] of Object.entries(model.vocab)) if (id < vocabSize) tokens[id] = text;
  const added = (added_tokens ?? []).filter(({ id }) => id < vocabSize);
  for (const { id, content } of added) tokens[id] = content;
  const merges = model.merges.map((pair) => (isString(pair) ? splitPair(pair) : pair));
  return { tokens, merges, special: new Set(added.map(({ id }) => id)) };
}

/** Older files separate the two tokens by a space. */
function splitPair(pair: string): [string, string] {
  const at = pair.indexOf(' ', 1);
  return [pair.slice(0, at), pair.slice(at + 1)];
}
