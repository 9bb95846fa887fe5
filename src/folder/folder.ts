import type { ByteSource } from './byteSource.js';
import { CheckpointError } from '../lib/errors.js';
import { messageOf, type EmergentError } from '../../reference/lib/errors.js';

/** A model folder, wherever it lies: on disk, behind a URL, on the Hugging Face Hub. */
export interface Folder {
  /** What messages call it. */
  readonly name: string;
  /** The files in it, where that can be asked. */
  readonly files: readonly string[] | null;
  /** What messages call a file of it. */
  pathOf(file: string): string;
  /**
   * Opens a file of the folder; null where there is none of that name.
   *
   * @throws CheckpointError if it cannot be read.
   */
  open(file: string): Promise<ByteSource | null>;
}

/**
 * Reads a JSON file of a folder; undefined where there is none.
 *
 * @param Fault the error to throw if it cannot be read or is no JSON
 */
export async function readJson(
  folder: Folder,
  file: string,
  Fault: new (message: string) => EmergentError,
): Promise<unknown> {
  const bytes = await readWhole(folder, file).catch((error: unknown) => {
    throw error instanceof CheckpointError ? new Fault(error.message) : error;
  });
  return bytes === null ? undefined : parseJson(new TextDecoder().decode(bytes), folder.pathOf(file), Fault);
}

/** Reads all of a file of a folder; null where there is none. */
export async function readWhole(folder: Folder, file: string): Promise<Uint8Array | null> {
  const source = await folder.open(file);
  if (!source) return null;
  try {
    const bytes = new Uint8Array(source.size);
    await source.readInto(bytes, 0);
    return bytes;
  } finally {
    await source.close();
  }
}

/**
 * Parses the text of a JSON file; a byte order mark is left out.
 *
 * @param path what messages call the file
 */
export function parseJson(text: string, path: string, Fault: new (message: string) => EmergentError): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
  } catch (error) {
    throw new Fault(`${path} is not JSON: ${messageOf(error).replaceAll('\n', ' ')}`);
  }
}
