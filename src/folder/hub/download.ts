import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { cancelBody } from '../absence.js';
import { makeFolder } from '../outputFile.js';
import { exists, withWriteErrors } from './cache.js';
import { MAX_ATTEMPTS, type Connection } from './connection.js';
import { claimPartial, releasePartial, removePartials } from './partial.js';

/** A file as the Hub lists it. */
export interface RemoteFile {
  path: string;
  /** In bytes. */
  size: number;
  /** With 64 digits, the SHA-256 of the content. With 40 digits, its SHA-1 as a git blob. */
  hash: string;
}

/**
 * Downloads a file to `blob`. The blob appears only when it is complete and its hash is right. The download resumes an
 * earlier one and retries after a lost connection. If it gives up, the next attempt can resume from what it received.
 *
 * @throws HubError that names the file and the fault.
 */
export async function downloadBlob(file: RemoteFile, url: string, blob: string, connection: Connection): Promise<void> {
  await withWriteErrors(blob, () => makeFolder(dirname(blob)));
  const partial = await claimPartial(blob);
  try {
    for (let restarted = false; ; restarted = true) {
      const inOneResponse = await completePartial(partial, file, url, connection);
      if ((await hashOf(partial, file)) === file.hash) break;
      await withWriteErrors(partial, () => rm(partial, { force: true }));
      const fault = `${nameOf(file, connection)}: the download does not match the hash that ${connection.host} lists`;
      if (inOneResponse || restarted) throw new HubError(fault);
      connection.note(`${fault}; starting over`); // the pieces may come from different versions of the file
    }
    await moveTo(blob, partial);
    await removePartials(blob);
  } finally {
    await releasePartial(partial, blob);
  }
}

/** Gives a complete partial file its final name. */
async function moveTo(blob: string, partial: string): Promise<void> {
  try {
    await rename(partial, blob);
  } catch (error) {
    // Windows cannot replace a file that another process has just put there and opened.
    if (!(await exists(blob))) throw new HubError(`${blob} cannot be written: ${messageOf(error)}`);
  }
}

/** A partial file that is open for appending. */
interface OpenPartial {
  path: string;
  handle: FileHandle;
}

/** Downloads the rest of a partial file. Returns whether all its bytes came in one response. */
async function completePartial(path: string, file: RemoteFile, url: string, connection: Connection): Promise<boolean> {
  const handle = await withWriteErrors(path, () => open(path, 'a+'));
  try {
    const inOneResponse = await receive({ path, handle }, file, url, connection);
    await withWriteErrors(path, () => handle.sync());
    return inOneResponse;
  } finally {
    await handle.close().catch(() => undefined); // an earlier error says more, and after a sync nothing can be lost
  }
}

/** Sends requests until an open partial file is complete. Returns whether all its bytes came in one response. */
async function receive(partial: OpenPartial, file: RemoteFile, url: string, connection: Connection): Promise<boolean> {
  const { path, handle } = partial;
  let { size: received } = await withWriteErrors(path, () => handle.stat());
  if (received > file.size) {
    await withWriteErrors(path, () => handle.truncate(0));
    received = 0;
  }
  let inOneResponse = received === 0;
  let maxReceived = received;
  let attemptsWithoutProgress = 0;
  while (received < file.size) {
    const response = await requestFrom(received, url, connection);
    try {
      const start = startOf(response, received, file, connection);
      if (start !== received) await withWriteErrors(path, () => handle.truncate(start));
      inOneResponse = start === 0;
      received = await append(response, start, partial, file, connection);
    } catch (error) {
      await cancelBody(response);
      throw error;
    }
    if (received === file.size) break;

    attemptsWithoutProgress = received > maxReceived ? 0 : attemptsWithoutProgress + 1;
    maxReceived = Math.max(maxReceived, received);
    const fault = `${nameOf(file, connection)} broke off after ${received} of ${file.size} bytes`;
    if (attemptsWithoutProgress >= MAX_ATTEMPTS) {
      const times = `${MAX_ATTEMPTS} times in a row`;
      throw new HubError(`${fault}, ${times}; the next attempt will resume from there`, { unreachable: true });
    }
    await connection.pause(fault, attemptsWithoutProgress + 1);
  }
  return inOneResponse;
}

/** Requests the bytes of a file from an offset to its end. */
async function requestFrom(offset: number, url: string, connection: Connection): Promise<Response> {
  const range = offset > 0 && { range: `bytes=${offset}-` };
  return connection.fetch(url, { headers: { 'accept-encoding': 'identity', ...range } });
}

/** Appends a response to a partial file of `start` bytes. Returns the file's new length. */
async function append(
  response: Response,
  start: number,
  { path, handle }: OpenPartial,
  file: RemoteFile,
  connection: Connection,
): Promise<number> {
  const { onDownload, signal } = connection.options;
  let length = start;
  for await (const bytes of bytesOf(response, connection)) {
    if (length + bytes.length > file.size) throw tooLong(file, connection);
    await withWriteErrors(path, () => handle.appendFile(bytes));
    length += bytes.length;
    onDownload?.(file.path, length, file.size);
  }
  signal?.throwIfAborted();
  return length;
}

/** The bytes of a response, until it ends, the connection is lost, or the server sends nothing for too long. */
async function* bytesOf({ body }: Response, connection: Connection): AsyncGenerator<Uint8Array> {
  const reader = (body as ReadableStream<Uint8Array> | null)?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await connection.withTimeout(reader.read());
      if (done) return;
      yield value;
    }
  } catch {
    // The caller sees that bytes are missing.
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The offset of a response's first byte: the requested one, or 0 if the server does not support ranges. */
function startOf({ status, headers }: Response, requested: number, file: RemoteFile, connection: Connection): number {
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '');
  const start = status === 206 && range ? Number(range[1]) : 0;
  if (start !== 0 && start !== requested) {
    throw new HubError(`${nameOf(file, connection)}: ${connection.host} sent a different range than requested`);
  }
  const length = headers.has('content-encoding') ? null : headers.get('content-length');
  const total = status === 206 ? (range?.[2] ?? null) : length;
  if (total !== null && Number(total) !== file.size) {
    const sizes = `${total} bytes on ${connection.host}, but ${file.size} in its list of files`;
    throw new HubError(`${nameOf(file, connection)} is ${sizes}`);
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

/** The hash of a file on disk, of the same kind as the listed hash. */
async function hashOf(path: string, { size, hash }: RemoteFile): Promise<string> {
  const digest = hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk as Buffer);
  } catch (error) {
    throw new HubError(`${path} cannot be read: ${messageOf(error)}`);
  }
  return digest.digest('hex');
}
