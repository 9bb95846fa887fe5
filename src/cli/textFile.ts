import { createReadStream } from 'node:fs';
import { InputError, messageOf } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { visible } from '../lib/quote.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';
import { decodeText } from './decodeText.js';

/** The longest text that commands hold as a whole, in UTF-16 units. */
const MAX_TEXT = 2 ** 26;

/**
 * Reads a whole text file.
 *
 * @throws InputError if the file does not exist, cannot be read, is not UTF-8 or is too long.
 */
export async function readText(path: string): Promise<string> {
  return wholeText(fileText(path), visible(path));
}

/**
 * A text argument, or standard input for `-`, without the final newline that shells add.
 *
 * @param keep drops the beginning of standard input, but keeps at least this many of its last UTF-16 units
 */
export async function textArgument(argument: string, keep?: number): Promise<string> {
  if (argument !== '-') return requireUtf8(argument);
  const text = await (keep === undefined ? wholeText(stdinText(), STDIN) : endOfText(stdinText(), keep));
  return text.replace(/\r?\n$/, '');
}

/**
 * Checks a text on the command line. Node replaces bytes that are not UTF-8 by U+FFFD.
 *
 * @throws InputError for a text with U+FFFD.
 */
export function requireUtf8(argument: string): string {
  if (!argument.includes('\ufffd')) return argument.replace(/^\ufeff/, '');
  throw new InputError('the text on the command line is not UTF-8: it contains U+FFFD, which replaces invalid bytes');
}

/**
 * Tokenizes a text file, or standard input for `-`, with the tokenizer of a model folder and returns the first tokens.
 * Reads no more of it than it needs.
 *
 * @throws InputError if the text cannot be read or is not UTF-8.
 */
export async function tokensOfFile(path: string, folder: Folder, maxTokens: number): Promise<number[]> {
  const tokenizer = await readTokenizer(folder);
  const ids: number[] = [];
  for await (const more of tokenizer.encodeChunks(path === '-' ? stdinText() : fileText(path))) {
    for (const id of more) ids.push(id);
    if (ids.length >= maxTokens) break;
  }
  return ids.slice(0, maxTokens);
}

const STDIN = 'standard input';

function stdinText(): AsyncGenerator<string, void> {
  return decodeText(process.stdin as AsyncIterable<Uint8Array>, STDIN);
}

function fileText(path: string): AsyncGenerator<string, void> {
  return decodeText(fileBytes(path), path);
}

async function* fileBytes(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing ? 'does not exist' : `cannot be read: ${messageOf(error)}`;
    throw new InputError(`${visible(path)} ${reason}`);
  }
}

async function wholeText(pieces: AsyncIterable<string>, source: string): Promise<string> {
  let text = '';
  for await (const piece of pieces) {
    text += piece;
    if (text.length <= MAX_TEXT) continue;
    throw new InputError(`${source} has more than ${MAX_TEXT.toLocaleString('en-US')} characters`);
  }
  return text;
}

/** The last pieces of a text: all of it, or at least `keep` units. */
async function endOfText(pieces: AsyncIterable<string>, keep: number): Promise<string> {
  const kept: string[] = [];
  let length = 0;
  for await (const piece of pieces) {
    kept.push(piece);
    length += piece.length;
    while (length - kept[0].length >= keep) length -= kept.shift()!.length;
  }
  return kept.join('');
}
