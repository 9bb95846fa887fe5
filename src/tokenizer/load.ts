import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TokenizerError } from '../errors.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Reads the tokenizer of a model folder: `tokenizer.json` and, where there is one, `tokenizer_config.json`.
 *
 * @throws TokenizerError that names the file and what is wrong with it.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const json = await readJson(path);
  if (json === undefined) throw new TokenizerError(`${path} does not exist: the model folder has no tokenizer`);
  return new Tokenizer(json, (await readJson(join(folder, 'tokenizer_config.json'))) ?? {}, path);
}

/** The parsed file, or undefined where there is none. */
async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new TokenizerError(`${path}: cannot be read: ${messageOf(error)}`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new TokenizerError(`${path}: not JSON: ${messageOf(error)}`);
  }
}
