import { Option, type Command } from 'commander';
import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';
import { parseIds } from './options.js';

/** What a model is to be fed: ids as they are, or text. */
export interface TokenFlags {
  tokens?: number[];
  text?: string;
}

export function addTokenOptions(command: Command): Command {
  return command
    .addOption(new Option('--tokens <ids>', 'token ids, such as 1,2,3').argParser(parseIds).conflicts('text'))
    .addOption(new Option('--text <text>', 'text to be tokenized').conflicts('tokens'));
}

/**
 * The ids of either flag; the tokenizer is read only if it is needed.
 *
 * @throws InputError if there are none, or more than the model takes at once.
 */
export async function tokensOf(
  { tokens, text }: TokenFlags,
  folder: Folder,
  { blockSize }: ModelConfig,
): Promise<number[]> {
  if (tokens === undefined && text === undefined) throw new InputError('give --tokens 1,2,3 or --text "..."');
  const ids = tokens ?? (await readTokenizer(folder)).encode(text ?? '');
  if (ids.length === 0) throw new InputError('--text is empty: the model needs at least one token');
  if (ids.length > blockSize) {
    throw new InputError(`${ids.length} tokens exceed the model's block_size of ${blockSize}`);
  }
  return ids;
}
