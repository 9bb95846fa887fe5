import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { Folder } from './folder.js';
import type { ByteSource } from './byteSource.js';

export interface UrlFolderOptions {
  /** Called as a file arrives. `totalBytes` is 0 where the server does not say how long it is. */
  onProgress?: ((file: string, doneBytes: number, totalBytes: number) => void) | undefined;
  /** Ends a download; its reason is then thrown. */
  signal?: AbortSignal | undefined;
}

/**
 * A model folder behind a URL. Each file is downloaded whole when it is opened and kept as a Blob, which browsers may
 * put on disk.
 *
 * @throws CheckpointError if the URL is none.
 */
export function urlFolder(url: string | URL, { onProgress, signal }: UrlFolderOptions = {}): Folder {
  const base = folderUrl(url);
  const pathOf = (file: string): string => new URL(encodeURIComponent(file), base).href;
  return {
    name: base.href,
    files: null,
    pathOf,
    async open(file) {
      const path = pathOf(file);
      const response = await ask(path, signal);
      if (response.status === 404) return null;
      if (!response.ok) throw new CheckpointError(`${path} cannot be read: HTTP ${response.status}`);
      const { headers } = response;
      const total = headers.has('content-encoding') ? 0 : Number(headers.get('content-length') ?? 0);
      const blob = await download(response, path, signal, (done) => onProgress?.(file, done, total));
      return blobSource(blob, path);
    },
  };
}

/** The URL of a folder; in a browser, relative to the page. */
export function folderUrl(url: string | URL): URL {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (!URL.canParse(String(url), page)) throw new CheckpointError(`${String(url)} is not a URL`);
  const base = new URL(url, page);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

/** Bytes of a Blob; in browsers a File, too. */
export function blobSource(blob: Blob, name: string): ByteSource {
  return {
    name,
    size: blob.size,
    async readInto(target, offset) {
      try {
        target.set(new Uint8Array(await blob.slice(offset, offset + target.length).arrayBuffer()));
      } catch (error) {
        throw new CheckpointError(`${name} cannot be read: ${messageOf(error)}`);
      }
    },
    close: () => Promise.resolve(),
  };
}

/**
 * Asks a server for a file.
 *
 * @throws CheckpointError if it cannot be reached, the signal's reason if that ends it.
 */
export async function ask(path: string, signal: AbortSignal | undefined, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(path, signal ? { ...init, signal } : init);
  } catch (error) {
    signal?.throwIfAborted();
    throw new CheckpointError(`${path} cannot be reached: ${messageOf(error)}`);
  }
}

async function download(
  response: Response,
  path: string,
  signal: AbortSignal | undefined,
  onBytes: (done: number) => void,
): Promise<Blob> {
  let done = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      done += chunk.length;
      onBytes(done);
      controller.enqueue(chunk);
    },
  });
  try {
    return await new Response(response.body?.pipeThrough(counter)).blob();
  } catch (error) {
    signal?.throwIfAborted();
    throw new CheckpointError(`${path} broke off after ${done} bytes: ${messageOf(error)}`);
  }
}
