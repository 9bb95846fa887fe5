import { readFile } from 'node:fs/promises';
import { InputError, messageOf } from '../errors.js';
import { loadTokenizer } from '../tokenizer/load.js';

/**
 * The first tokens of a text file, by the tokenizer of a model folder.
 *
 * @throws InputError if the file cannot be read.
 */
export async function tokensOfFile(path: string, folder: string, most: number): Promise<number[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new InputError(`${path} cannot be read: ${messageOf(error)}`);
  }
  if (most < 2) throw new InputError(`--max-tokens must be at least 2, got ${most}`);
  return (await loadTokenizer(folder)).encode(text).slice(0, most);
}
