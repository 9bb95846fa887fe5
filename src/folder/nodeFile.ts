import { open, stat, type FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { ByteSource } from './byteSource.js';

/** Linux transfers at most 2 GiB in one read call. */
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
