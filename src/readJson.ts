import { readFile } from 'node:fs/promises';
import { messageOf, type EmergentError } from './errors.js';

/**
 * Reads a JSON file; undefined where there is none.
 *
 * @param Fault the error to throw if it cannot be read or is no JSON
 */
export async function readJson(path: string, Fault: new (message: string) => EmergentError): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Fault(`${path} cannot be read: ${messageOf(error)}`);
  }
  try {
    return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
  } catch (error) {
    throw new Fault(`${path} is not JSON: ${messageOf(error).replaceAll('\n', ' ')}`);
  }
}
