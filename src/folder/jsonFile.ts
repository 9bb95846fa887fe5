import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf } from '../../reference/lib/errors.js';
import { checkJsonSize, MAX_JSON, parseJson, type JsonSource } from '../lib/json.js';

/**
 * Reads a JSON file or pipe. Reads no more than the limit for JSON files.
 *
 * @throws Fault if the file does not exist, cannot be read, is too large or is not JSON.
 */
export async function readJsonFile(path: string, Fault: JsonSource['Fault']): Promise<unknown> {
  const source = { path, Fault };
  const chunks: Buffer[] = [];
  try {
    checkJsonSize((await stat(path)).size, MAX_JSON, source); // a pipe has size 0
    for await (const chunk of createReadStream(path, { end: MAX_JSON })) chunks.push(chunk as Buffer);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new Fault(missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`);
  }
  return parseJson(Buffer.concat(chunks), source);
}
