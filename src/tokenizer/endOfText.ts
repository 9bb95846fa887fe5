import * as v from 'valibot';
import { checkJson, objectOf, type JsonSource } from '../lib/json.js';
import { quote } from '../lib/quote.js';

/** A token that a file names as the end of a text: the token itself, or its id. */
export interface EndOfText {
  readonly token: string | number;
  /** The file that names it. */
  readonly path: string;
}

const TOKEN = 'must be a token or an object with its content';

/** A token in `tokenizer_config.json` and `special_tokens_map.json`. Null is the same as absent. */
export const TOKEN_SCHEMA: v.GenericSchema<string | { content: string } | null | undefined> = v.nullish(
  v.union([v.string(), objectOf({ content: v.string(TOKEN) }, TOKEN)], TOKEN),
);

const NAMES = objectOf({ eos_token: TOKEN_SCHEMA }, 'must be a JSON object');

const IDS = objectOf(
  { eos_token_id: v.nullish(v.custom<number | number[]>(isIdOrIds, 'must be a token id or a list of token ids')) },
  'must be a JSON object',
);

function isIdOrIds(value: unknown): boolean {
  return Array.isArray(value) ? value.every((id) => Number.isSafeInteger(id)) : Number.isSafeInteger(value);
}

/** The end-of-text token of a `tokenizer_config.json` or `special_tokens_map.json`; undefined stands for no file. */
export function endByName(json: unknown, source: JsonSource): EndOfText[] {
  if (json === undefined) return [];
  const { eos_token: eos } = checkJson(NAMES, json, source);
  if (eos == null) return [];
  return [{ token: typeof eos === 'string' ? eos : eos.content, path: source.path }];
}

/** The end-of-text tokens of a `config.json` or `generation_config.json`; undefined stands for no file. */
export function endById(json: unknown, source: JsonSource): EndOfText[] {
  if (json === undefined) return [];
  const { eos_token_id: ids } = checkJson(IDS, json, source);
  if (ids == null) return [];
  return (Array.isArray(ids) ? ids : [ids]).map((token) => ({ token, path: source.path }));
}

/** Finds tokens in a vocabulary. */
export interface Vocabulary {
  idOf(token: string): number | undefined;
  has(id: number): boolean;
}

/**
 * The ids of all tokens that end a text, and a warning for each that the vocabulary lacks. If no file names one, it is
 * `</s>`.
 */
export function resolveEnds(ends: readonly EndOfText[], vocabulary: Vocabulary): { ids: number[]; warnings: string[] } {
  const ids = new Set<number>();
  const warnings = new Set<string>();
  for (const { token, path } of ends) {
    const id = typeof token === 'number' ? token : vocabulary.idOf(token);
    if (id !== undefined && vocabulary.has(id)) ids.add(id);
    else warnings.add(`${path}: the end-of-text token ${quote(token)} is not in the vocabulary`);
  }
  const usual = vocabulary.idOf('</s>');
  if (ends.length === 0 && usual !== undefined) ids.add(usual);
  return { ids: [...ids], warnings: [...warnings] };
}
