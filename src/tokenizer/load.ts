import { join } from 'node:path';
import { TokenizerError } from '../errors.js';
import { readJson } from '../readJson.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Reads the tokenizer of a model folder: `tokenizer.json` and, where there is one, `tokenizer_config.json`.
 *
 * @throws TokenizerError that names the file and what is wrong with it.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const json = await readJson(path, TokenizerError);
  if (json === undefined) throw new TokenizerError(`${path} does not exist: the model folder has no tokenizer`);
  return new Tokenizer(json, (await readJson(join(folder, 'tokenizer_config.json'), TokenizerError)) ?? {}, path);
}
