import { openFolder } from '../checkpoint/diskFolder.js';
import { readTokenizer } from './read.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Loads the tokenizer of a model folder on disk.
 *
 * @throws TokenizerError that names the file and what is wrong with it, CheckpointError if there is no such folder.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  return readTokenizer(await openFolder(folder));
}
