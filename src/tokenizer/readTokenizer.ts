import { TokenizerError } from '../lib/errors.js';
import { readJson, type Folder } from '../folder/folder.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Reads the tokenizer of a model folder: `tokenizer.json` and, if it exists, `tokenizer_config.json`.
 *
 * @throws TokenizerError that names the file and the fault.
 */
export async function readTokenizer(folder: Folder): Promise<Tokenizer> {
  const path = folder.pathOf('tokenizer.json');
  const json = await readJson(folder, 'tokenizer.json', TokenizerError);
  if (json === undefined) throw new TokenizerError(`${path} does not exist: the model folder has no tokenizer`);
  const config = await readJson(folder, 'tokenizer_config.json', TokenizerError);
  return new Tokenizer(json, config ?? {}, path);
}
