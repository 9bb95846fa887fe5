import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { ByteSource } from './byteSource.js';

/** One call of the operating system reads or writes at most 2 GiB. */
const LARGEST_CALL = 2 ** 30;

/** @throws CheckpointError if there is no such file or it cannot be read. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle;
  let size: number;
  try {
    // asked before it is opened, because to open a named pipe is to wait for a writer
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
        const length = Math.min(target.length - done, LARGEST_CALL);
        const { bytesRead } = await read(handle, target, done, length, offset + done, path);
        if (bytesRead === 0) throw new CheckpointError(`${path} became shorter while it was read`);
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

/** Files that this process began to write, so that no two have the same temporary name. */
let writes = 0;

/**
 * Writes a file piece by piece under a temporary name beside it, and gives it its own name when all is written: an
 * interrupted write leaves nothing that looks whole.
 *
 * @throws CheckpointError if it cannot be written. What was there before is then still there.
 */
export async function writeFileWhole(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.${process.pid}-${++writes}.part`;
  try {
    const former = await stat(path).catch(() => null);
    if (former && !former.isFile()) throw new Error('it is not a file'); // a rename would replace /dev/null itself
    const handle = await open(temporary, 'w');
    try {
      for await (const piece of pieces) {
        for (let done = 0; done < piece.length;) {
          const { bytesWritten } = await handle.write(piece, done, Math.min(piece.length - done, LARGEST_CALL));
          done += bytesWritten;
        }
      }
      await handle.sync(); // or the name could reach the disk before the data
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
