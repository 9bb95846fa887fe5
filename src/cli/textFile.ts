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
 * Tokenizes a text file with the tokenizer of a model folder and returns the first tokens.
 *
 * @throws InputError if the file cannot be read.
 */
export async function tokensOfFile(path: string, folder: Folder, maxTokens: number): Promise<number[]> {
  const text = await readText(path);
  if (maxTokens < 2) throw new InputError(`--max-tokens must be at least 2, got ${maxTokens}`);
  return (await readTokenizer(folder)).encode(text).slice(0, maxTokens);
}
