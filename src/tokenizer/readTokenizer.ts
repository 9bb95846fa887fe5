import { ConfigError, TokenizerError } from '../lib/errors.js';
import { MAX_TOKENIZER_JSON } from '../lib/json.js';
import { readJson, type Folder } from '../folder/folder.js';
import { endById, endByName, type EndOfText } from './endOfText.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Reads the tokenizer of a model folder: `tokenizer.json` and, if they exist, the four files that may name its
 * end-of-text tokens.
 *
 * @throws TokenizerError or ConfigError that names the file and the fault.
 */
export async function readTokenizer(folder: Folder): Promise<Tokenizer> {
  const path = folder.pathOf('tokenizer.json');
  const json = await readJson(folder, 'tokenizer.json', TokenizerError, MAX_TOKENIZER_JSON);
  if (json === undefined) throw new TokenizerError(`${path} does not exist: the model folder has no tokenizer`);
  const config = await readJson(folder, 'tokenizer_config.json', TokenizerError);
  return new Tokenizer(json, config ?? {}, path, await otherEnds(folder));
}

/** The end-of-text tokens that files beside `tokenizer_config.json` name. */
async function otherEnds(folder: Folder): Promise<EndOfText[]> {
  const ends: EndOfText[] = [];
  for (const { file, read, Fault } of HOMES) {
    const json = await readJson(folder, file, Fault);
    for (const end of read(json, { path: folder.pathOf(file), Fault })) ends.push(end);
  }
  return ends;
}

const HOMES = [
  { file: 'special_tokens_map.json', read: endByName, Fault: TokenizerError },
  { file: 'generation_config.json', read: endById, Fault: TokenizerError },
  { file: 'config.json', read: endById, Fault: ConfigError },
];
