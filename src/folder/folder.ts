import type { ByteSource } from './byteSource.js';
import { CheckpointError } from '../lib/errors.js';
import { checkJsonSize, MAX_JSON, parseJson, type JsonSource } from '../lib/json.js';

/**
 * A model folder, wherever it is: on disk, behind a URL or on the Hugging Face Hub.
 *
 * Two words name two steps throughout the project. A function that *reads* (`readModel`, `readTokenizer`,
 * `readLanguageModel`) takes an open Folder, and so runs in Node and in browsers. A function that *loads* (`loadModel`,
 * `loadTokenizer`, `load`) takes a name, opens the folder of that name, and reads it.
 */
export interface Folder {
  /** The name to use in messages. */
  readonly name: string;
  /** The files in the folder; null if they cannot be listed. */
  readonly files: readonly string[] | null;
  /** The name of a file to use in messages. */
  pathOf(file: string): string;
  /**
   * Opens a file; null if the folder has no file of that name.
   *
   * @throws CheckpointError if the file cannot be read.
   */
  open(file: string): Promise<ByteSource | null>;
}

/**
 * Reads a JSON file from a folder; undefined if the file does not exist. Its size is checked before it is read.
 *
 * @param Fault the class of the error to throw if the file cannot be read or is not JSON
 */
export async function readJson(
  folder: Folder,
  file: string,
  Fault: JsonSource['Fault'],
  maxBytes: number = MAX_JSON,
): Promise<unknown> {
  const source = { path: folder.pathOf(file), Fault };
  const bytes = await readLimited(folder, file, source, maxBytes).catch((error: unknown) => {
    throw error instanceof CheckpointError ? new Fault(error.message) : error;
  });
  return bytes === null ? undefined : parseJson(bytes, source, maxBytes);
}

async function readLimited(
  folder: Folder,
  file: string,
  source: JsonSource,
  maxBytes: number,
): Promise<Uint8Array | null> {
  const opened = await folder.open(file);
  if (!opened) return null;
  try {
    checkJsonSize(opened.size, maxBytes, source);
    return await readAll(opened);
  } finally {
    await opened.close();
  }
}

/** Reads a whole file from a folder; null if the file does not exist. */
export async function readWhole(folder: Folder, file: string): Promise<Uint8Array | null> {
  const source = await folder.open(file);
  if (!source) return null;
  try {
    return await readAll(source);
  } finally {
    await source.close();
  }
}

async function readAll(source: ByteSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0);
  return bytes;
}
