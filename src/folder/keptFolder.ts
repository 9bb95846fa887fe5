import { CheckpointError } from '../lib/errors.js';
import type { Folder } from './folder.js';
import { KeptParts } from './keptParts.js';
import type { Store } from './store.js';
import { ask, blobSource, folderUrl, type UrlFolderOptions } from './urlFolder.js';

/** How often in a row an attempt may bring nothing. */
const TRIES = 5;
const PASSING = [429, 500, 502, 503, 504];
/** The version of a file that there is none of. */
const ABSENT = 'absent';

export interface KeptFolderOptions extends UrlFolderOptions {
  /** Bytes that are kept at a time; an interruption loses no more than these. */
  partSize?: number;
  /** Milliseconds before a second attempt; before each further one twice as long. */
  firstWait?: number;
}

/**
 * A model folder behind a URL whose files are kept between visits. A download goes on where it was interrupted; what is
 * kept is used as long as the server has no other version of it, or cannot be asked. A file that has not all its bytes
 * is never given out.
 *
 * @throws CheckpointError if the URL is none.
 */
export function keptFolder(url: string | URL, store: Store, options: KeptFolderOptions = {}): Folder {
  const { partSize = 2 ** 24, signal } = options;
  const base = folderUrl(url);
  const pathOf = (file: string): string => new URL(encodeURIComponent(file), base).href;
  return {
    name: base.href,
    files: null,
    pathOf,
    async open(file) {
      const path = pathOf(file);
      const parts = await KeptParts.open(store, path, partSize);
      const isThere = (await isPresent(parts, path, signal)) || (await download(parts, path, file, options));
      return isThere ? blobSource(parts.blob(), path) : null;
    },
  };
}

/** Whether all of a file is kept, and is what the server has as far as that can be asked. */
async function isPresent(parts: KeptParts, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (!parts.isWhole) return false;
  if (/\/resolve\/[0-9a-f]{40}\//.test(path)) return true; // a commit of the Hub never changes
  const answer = await ask(path, signal, { method: 'HEAD' }).catch(() => null);
  signal?.throwIfAborted();
  if (!answer) return true;
  return answer.ok ? isSame(answer, parts) : answer.status !== 404;
}

/** Brings the parts of a file to their full length; false where there is no such file. */
async function download(
  parts: KeptParts,
  path: string,
  file: string,
  { onProgress, signal, firstWait = 500 }: KeptFolderOptions,
): Promise<boolean> {
  let fault = '';
  let furthest = parts.length;
  for (let fruitless = 0; fruitless < TRIES;) {
    if (fault !== '') await new Promise((resolve) => setTimeout(resolve, firstWait * 2 ** fruitless));
    const from = parts.length;
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const answer = await ask(path, signal, { headers }).catch((error: unknown) => {
      if (!(error instanceof CheckpointError) || (from === 0 && parts.version !== ABSENT)) throw error;
      return error;
    });
    if (answer instanceof CheckpointError) {
      if (parts.version === ABSENT) return false;
      [fault, fruitless] = ['cannot be reached any more', fruitless + 1];
      continue;
    }
    if (answer.status === 404) {
      await parts.begin(ABSENT, null); // so that it is known without a network, too
      return false;
    }
    if (PASSING.includes(answer.status)) {
      [fault, fruitless] = [`cannot be read: HTTP ${answer.status}, ${TRIES} times in a row`, fruitless + 1];
      continue;
    }
    if (from > 0 && !(startOf(answer) === from && isSame(answer, parts))) {
      await answer.body?.cancel(); // another version, or a server that knows no ranges
      await parts.clear();
      furthest = 0;
      fruitless++;
      continue;
    }
    if (!answer.ok) throw new CheckpointError(`${path} cannot be read: HTTP ${answer.status}`);
    if (from === 0) await parts.begin(versionOf(answer), sizeOf(answer));
    let broken = false;
    for await (const chunk of chunksOf(answer)) {
      broken = chunk === null;
      if (chunk) await parts.add(chunk);
      if (parts.size !== null && parts.length > parts.size) {
        const { size } = parts;
        await parts.clear();
        throw new CheckpointError(`${path} is longer than the ${size} bytes that were announced`);
      }
      if (chunk) onProgress?.(file, parts.length, parts.size ?? 0);
    }
    signal?.throwIfAborted();
    if (parts.size === null ? !broken : parts.isWhole) {
      await parts.finish();
      return true;
    }
    fault = `broke off after ${parts.length} bytes, ${TRIES} times in a row`;
    fruitless = parts.length > furthest ? 0 : fruitless + 1;
    furthest = Math.max(furthest, parts.length);
  }
  throw new CheckpointError(`${path} ${fault}`);
}

/** What an answer brings; null at the end if the connection broke. */
async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array | null> {
  const reader = body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read().catch(() => null);
      if (next === null) yield null;
      if (!next || next.done) return;
      yield next.value as Uint8Array;
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
}

/** What tells one version of a file from another: the server's tag or date for it, and its length. */
function versionOf(answer: Response): string {
  const tag = answer.headers.get('etag') ?? answer.headers.get('last-modified') ?? '';
  return `${tag} ${sizeOf(answer) ?? ''}`;
}

function isSame(answer: Response, { version }: KeptParts): boolean {
  return version !== ' ' && versionOf(answer) === version;
}

/** Bytes of the whole file; null where the answer does not say, or says how long it is when compressed. */
function sizeOf({ headers, status }: Response): number | null {
  if (headers.has('content-encoding')) return null;
  const length = status === 206 ? rangeOf(headers)?.[2] : headers.get('content-length');
  return length == null ? null : Number(length);
}

/** The offset of an answer's first byte; null where it is no range of the file. */
function startOf({ headers, status }: Response): number | null {
  const range = headers.has('content-encoding') || status !== 206 ? null : rangeOf(headers);
  return range && Number(range[1]);
}

function rangeOf(headers: Headers): RegExpExecArray | null {
  return /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '');
}
