import { readFile } from 'node:fs/promises';
import { InputError, messageOf } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';

/** @throws InputError if the file does not exist or cannot be read. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new InputError(missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`);
  }
}

/**
 * The first tokens of a text file, by the tokenizer of a model folder.
 *
 * @throws InputError if the file cannot be read.
 */
export async function tokensOfFile(path: string, folder: Folder, most: number): Promise<number[]> {
  const text = await readText(path);
  if (most < 2) throw new InputError(`--max-tokens must be at least 2, got ${most}`);
  return (await readTokenizer(folder)).encode(text).slice(0, most);
}
