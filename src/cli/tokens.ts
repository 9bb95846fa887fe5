import { Option, type Command } from 'commander';
import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';
import { integers } from './numbers.js';
import { requireUtf8 } from './textFile.js';

/** The input of a model: token ids, or text. */
export interface TokenFlags {
  tokens?: number[];
  text?: string;
}

export function addTokenOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--tokens <ids>', 'token ids, such as 1,2,3').argParser(integers('token ids', 0)).conflicts('text'),
    )
    .addOption(new Option('--text <text>', 'text to tokenize').conflicts('tokens'));
}

/**
 * Returns the ids that either flag gives. Reads the tokenizer only for `--text`.
 *
 * @throws InputError if there are no ids, or more than block_size.
 */
export async function tokensOf(
  { tokens, text }: TokenFlags,
  folder: Folder,
  { blockSize }: ModelConfig,
): Promise<number[]> {
  if (tokens === undefined && text === undefined) throw new InputError('give --tokens 1,2,3 or --text "..."');
  const ids = tokens ?? (await readTokenizer(folder)).encode(requireUtf8(text ?? ''));
  if (ids.length === 0) throw new InputError('--text is empty: the model needs at least one token');
  if (ids.length > blockSize) {
    throw new InputError(`${ids.length} tokens exceed the model's block_size of ${blockSize}`);
  }
  return ids;
}
