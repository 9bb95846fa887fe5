import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { exists, withWriteErrors } from './cache.js';
import { TRIES, type Connection } from './connection.js';
import { claimPartial, releasePartial, removePartials } from './partial.js';

/** A file as the Hub lists it. */
export interface RemoteFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Of 64 digits: the SHA-256 of what it says. Of 40: git's SHA-1 of it as a blob. */
  hash: string;
}

/**
 * Downloads a file to `blob`, which is there when all has arrived and has the right hash, and not before. Goes on where
 * an earlier attempt was interrupted, asks again for what a broken connection did not bring, and leaves what it has to
 * the next attempt if it gives up.
 *
 * @throws HubError that names the file and the fault.
 */
export async function downloadBlob(file: RemoteFile, url: string, blob: string, connection: Connection): Promise<void> {
  await withWriteErrors(blob, () => mkdir(dirname(blob), { recursive: true }));
  const partial = await claimPartial(blob);
  try {
    for (let restarted = false; ; restarted = true) {
      const inOneGo = await withWriteErrors(partial, () => open(partial, 'a+')).then((handle) =>
        receive(handle, partial, file, url, connection).finally(() => handle.close()),
      );
      if ((await hashOf(partial, file)) === file.hash) break;
      await rm(partial, { force: true });
      const fault = `${nameOf(file, connection)} did not arrive as it is on ${connection.host}: its hash is wrong`;
      if (inOneGo || restarted) throw new HubError(fault);
      connection.note(`${fault}; once more from the beginning`); // the pieces may be of different days
    }
    await rename(partial, blob).catch(async (error: unknown) => {
      // Windows replaces no file that another process has just put there and opened
      if (!(await exists(blob))) throw new HubError(`${blob} cannot be written: ${messageOf(error)}`);
    });
    await removePartials(blob);
  } finally {
    await releasePartial(partial, blob);
  }
}

/** Brings a partial file to its full length; true if a single answer of the server did. */
async function receive(
  handle: FileHandle,
  path: string,
  file: RemoteFile,
  url: string,
  connection: Connection,
): Promise<boolean> {
  const { onDownload, signal } = connection.options;
  let done = (await handle.stat()).size;
  if (done > file.size) await handle.truncate((done = 0));
  let furthest = done;
  let inOneGo = done === 0;
  let fruitless = 0;
  while (done < file.size) {
    const headers = { 'accept-encoding': 'identity', ...(done > 0 && { range: `bytes=${done}-` }) };
    const response = await connection.fetch(url, { headers });
    const start = startOf(response, done, file, connection);
    if (start !== done) await handle.truncate((done = start));
    inOneGo = start === 0;
    for await (const bytes of bytesOf(response, connection)) {
      if (done + bytes.length > file.size) throw tooLong(file, connection);
      await withWriteErrors(path, () => handle.appendFile(bytes));
      done += bytes.length;
      onDownload?.(file.path, done, file.size);
    }
    signal?.throwIfAborted();
    if (done === file.size) break;
    fruitless = done > furthest ? 0 : fruitless + 1;
    furthest = Math.max(furthest, done);
    const fault = `${nameOf(file, connection)} broke off after ${done} of ${file.size} bytes`;
    if (fruitless >= TRIES) {
      throw new HubError(`${fault}, ${TRIES} times in a row; what has arrived is kept`, { unreachable: true });
    }
    await connection.pause(fault, fruitless + 1);
  }
  await withWriteErrors(path, () => handle.sync());
  return inOneGo;
}

/** What an answer brings until it ends, or the connection does, or falls silent. */
async function* bytesOf({ body }: Response, connection: Connection): AsyncGenerator<Uint8Array> {
  const reader = (body as ReadableStream<Uint8Array> | null)?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await connection.within(reader.read());
      if (done) return;
      yield value;
    }
  } catch {
    // too few bytes have come, which the caller sees
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The offset of an answer's first byte: where we asked it to begin, or 0 from a server that knows no ranges. */
function startOf({ status, headers }: Response, done: number, file: RemoteFile, connection: Connection): number {
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '');
  const start = status === 206 && range ? Number(range[1]) : 0;
  const length = headers.has('content-encoding') ? null : headers.get('content-length');
  const total = status === 206 ? (range?.[2] ?? null) : length;
  if (start !== 0 && start !== done) {
    throw new HubError(`${nameOf(file, connection)}: ${connection.host} sends other bytes than those asked for`);
  }
  if (total !== null && Number(total) !== file.size) {
    const lengths = `${total} bytes long, but ${file.size} according to the list of files`;
    throw new HubError(`${nameOf(file, connection)} is ${lengths} on ${connection.host}`);
  }
  return start;
}

function tooLong(file: RemoteFile, connection: Connection): HubError {
  return new HubError(
    `${nameOf(file, connection)} is longer than the ${file.size} bytes that ${connection.host} lists`,
  );
}

function nameOf({ path }: RemoteFile, { id }: Connection): string {
  return `${id.repo}: ${path}`;
}

/** The hash of a file on disk, of the kind that its listed one is. */
async function hashOf(path: string, { size, hash }: RemoteFile): Promise<string> {
  const digest = hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}
