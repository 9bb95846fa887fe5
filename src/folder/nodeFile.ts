import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { ByteSource } from './byteSource.js';

/** Linux transfers at most 2 GiB in one read or write call, so we split larger transfers. */
const MAX_CALL = 2 ** 30;

/**
 * Opens a file on disk.
 *
 * @throws CheckpointError if the file does not exist or cannot be read.
 */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle;
  let size: number;
  try {
    // Check the type before opening: opening a named pipe would block until someone writes to it.
    const status = await stat(path);
    if (!status.isFile()) throw new Error('it is not a file');
    size = status.size;
    handle = await open(path, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CheckpointError(missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`);
  }
  return {
    name: path,
    size,
    async readInto(target, offset) {
      for (let done = 0; done < target.length;) {
        const length = Math.min(target.length - done, MAX_CALL);
        const { bytesRead } = await read(handle, target, done, length, offset + done, path);
        if (bytesRead === 0) throw new CheckpointError(`${path} was truncated while being read`);
        done += bytesRead;
      }
    },
    close: () => handle.close(),
  };
}

async function read(
  handle: FileHandle,
  target: Uint8Array,
  start: number,
  length: number,
  offset: number,
  path: string,
): Promise<{ bytesRead: number }> {
  try {
    return await handle.read(target, start, length, offset);
  } catch (error) {
    throw new CheckpointError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

/** Counts the writes of this process, so that each gets its own temporary name. */
let writeCount = 0;

/**
 * Writes a file piece by piece under a temporary name in the same folder, then renames it. An interrupted write
 * therefore never leaves a partial file under the final name.
 *
 * @throws CheckpointError if the file cannot be written. A previous file of that name is then unchanged.
 */
export async function writeFileWhole(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  writeCount++;
  const temporary = `${path}.${process.pid}-${writeCount}.part`;
  try {
    const previous = await stat(path).catch(() => null);
    if (previous && !previous.isFile()) throw new Error('it is not a file'); // the rename would replace /dev/null itself
    const handle = await open(temporary, 'w');
    try {
      for await (const piece of pieces) await writeAll(handle, piece);
      await handle.sync(); // otherwise the new name could reach the disk before the data
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof CheckpointError
      ? error
      : new CheckpointError(`${path} cannot be written: ${messageOf(error)}`);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, MAX_CALL));
    done += bytesWritten;
  }
}
