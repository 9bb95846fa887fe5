import { CheckpointError } from '../lib/errors.js';
import { Absence, cancelBody } from './absence.js';
import { describeFetchError } from './fetchFault.js';
import type { Folder } from './folder.js';
import { Pieces } from './pieces.js';

export interface UrlFolderOptions {
  /** Called as a file downloads. `totalBytes` is 0 if the server does not announce the length. */
  onProgress?: ((file: string, doneBytes: number, totalBytes: number) => void) | undefined;
  /** Aborts a download, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * A model folder behind a URL. Opening a file downloads all of it into memory.
 *
 * @throws CheckpointError if the URL is invalid.
 */
export function urlFolder(url: string | URL, { onProgress, signal }: UrlFolderOptions = {}): Folder {
  const base = folderUrl(url);
  const pathOf = (file: string): string => new URL(encodeURIComponent(file), base).href;
  const absence = new Absence(pathOf);
  return {
    name: base.href,
    files: null,
    pathOf,
    async open(file) {
      const path = pathOf(file);
      const response = await request(path, signal);
      if (await absence.isMeantBy(file, response)) return null;
      if (!response.ok) {
        await cancelBody(response);
        throw new CheckpointError(`${path} cannot be read: HTTP ${response.status}`);
      }
      const { headers } = response;
      const total = headers.has('content-encoding') ? 0 : Number(headers.get('content-length') ?? 0);
      const pieces = await download(response, path, signal, (done) => onProgress?.(file, done, total));
      return pieces.source(path);
    },
  };
}

/** The URL of a folder, ending in a slash. In a browser it may be relative to the page. */
export function folderUrl(url: string | URL): URL {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (!URL.canParse(String(url), page)) throw new CheckpointError(`${String(url)} is not a URL`);
  const base = new URL(url, page);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

/**
 * Requests a file from a server.
 *
 * @throws CheckpointError if the server cannot be reached; the signal's reason if the request is aborted.
 */
export async function request(
  path: string,
  signal: AbortSignal | undefined,
  init: RequestInit & { cache?: 'no-store' } = {},
): Promise<Response> {
  try {
    return await fetch(path, signal ? { ...init, signal } : init);
  } catch (error) {
    signal?.throwIfAborted();
    throw new CheckpointError(`${path} cannot be reached: ${describeFetchError(error)}`);
  }
}

async function download(
  { body }: Response,
  path: string,
  signal: AbortSignal | undefined,
  onBytes: (done: number) => void,
): Promise<Pieces> {
  const pieces = new Pieces();
  const reader = body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read();
      if (!next || next.done) return pieces;
      pieces.add(next.value as Uint8Array<ArrayBuffer>); // what arrives from a server is never in shared memory
      onBytes(pieces.size);
    }
  } catch (error) {
    await reader?.cancel().catch(() => undefined);
    signal?.throwIfAborted();
    throw new CheckpointError(`${path}: the download failed after ${pieces.size} bytes: ${describeFetchError(error)}`);
  }
}
