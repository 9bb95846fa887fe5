import { CheckpointError } from '../lib/errors.js';
import { Absence, cancelBody, isWebPage } from './absence.js';
import type { ByteSource } from './byteSource.js';
import type { Folder } from './folder.js';
import { KeptParts, type Version } from './keptParts.js';
import type { Store } from './store.js';
import { folderUrl, request, type UrlFolderOptions } from './urlFolder.js';

const PART_SIZE = 2 ** 24;
/** Give up after this many attempts in a row that bring no new bytes. */
const MAX_TRIES = 5;
/** HTTP statuses that may go away by themselves. */
const TRANSIENT_STATUSES = [429, 500, 502, 503, 504];
/** Milliseconds after which a server that does not say its version counts as unreachable. */
const MAX_HEAD_MS = 20_000;
/** The version that we record for a file that does not exist. */
const ABSENT: Version = { name: 'absent', isExact: true };

export interface KeptFolderOptions extends UrlFolderOptions {
  /** Bytes stored at a time. An interruption loses at most this many. */
  partSize?: number;
  /** Milliseconds before the second attempt. The wait doubles before each further one. */
  firstWait?: number;
}

/**
 * A model folder behind a URL that keeps its files between visits. Interrupted downloads resume. A kept file is used
 * until the server has another version, and whenever the server cannot be reached. An incomplete file is never returned.
 * A store that fails keeps nothing, and what it loses is downloaded again.
 *
 * @throws CheckpointError if the URL is invalid.
 */
export function keptFolder(url: string | URL, store: Store, options: KeptFolderOptions = {}): Folder {
  const { partSize = PART_SIZE, signal } = options;
  const base = folderUrl(url);
  const pathOf = (file: string): string => new URL(encodeURIComponent(file), base).href;
  const absence = new Absence(pathOf);
  return {
    name: base.href,
    files: null,
    pathOf,
    async open(file) {
      const path = pathOf(file);
      const parts = await KeptParts.open(store, path, partSize);
      const wanted: Wanted = { file, path, absence, options };
      const exists = (await isCurrent(parts, path, signal)) || (await download(parts, wanted));
      return exists ? recoveringSource(parts, wanted) : null;
    },
  };
}

/** A file to open, and how. */
interface Wanted {
  file: string;
  path: string;
  absence: Absence;
  options: KeptFolderOptions;
}

/**
 * A source over kept parts. A browser can evict them, and another tab can replace them, while we read. Then the file is
 * downloaded again, this time into memory.
 */
function recoveringSource(parts: KeptParts, wanted: Wanted): ByteSource {
  const { path } = wanted;
  let source = parts.source(path);
  let recovery: Promise<ByteSource> | undefined;
  return {
    name: path,
    size: source.size,
    async readInto(target, offset) {
      try {
        await source.readInto(target, offset);
      } catch {
        recovery ??= downloadAgain(parts, wanted);
        source = await recovery;
        await source.readInto(target, offset);
      }
    },
    close: () => source.close(),
  };
}

/** @throws CheckpointError if the server has, or may have, another version by now: the two must not mix. */
async function downloadAgain(lost: KeptParts, wanted: Wanted): Promise<ByteSource> {
  const { path, options } = wanted;
  const parts = await KeptParts.open(NO_STORE, path, options.partSize ?? PART_SIZE);
  const exists = await download(parts, wanted);
  const isSame = exists && parts.size === lost.size && parts.version === lost.version;
  if (!isSame || !lost.isExact) {
    const what = isSame ? 'the server cannot say whether it has changed' : 'has changed on the server';
    throw new CheckpointError(`${path} is no longer kept, and ${what}: load the model again`);
  }
  return parts.source(path);
}

/** Whether the store has the whole file, in the version that the server has as far as we can find out. */
async function isCurrent(parts: KeptParts, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (!parts.isComplete) return false;
  if (isOfCommit(path)) return true;
  const response = await requestHead(path, signal);
  if (!response || isWebPage(response)) return true; // a web page comes from a network that wants a login
  return response.ok ? isSameVersion(response, parts) : response.status !== 404;
}

/** Whether a URL is of a commit on the Hub, whose files never change. */
function isOfCommit(path: string): boolean {
  return /\/resolve\/[0-9a-f]{40}\//.test(path);
}

/** Asks for the headers of a file; null if the server cannot be reached in time. */
async function requestHead(path: string, signal: AbortSignal | undefined): Promise<Response | null> {
  const ended = new AbortController();
  const end = (): void => {
    ended.abort();
  };
  const timeout = setTimeout(end, MAX_HEAD_MS);
  signal?.addEventListener('abort', end);
  try {
    signal?.throwIfAborted();
    return await request(path, ended.signal, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  } finally {
    clearTimeout(timeout);
    signal?.removeEventListener('abort', end);
    signal?.throwIfAborted();
  }
}

/** Downloads what the store lacks of a file; false if the server has no such file. */
async function download(parts: KeptParts, wanted: Wanted): Promise<boolean> {
  const { path } = wanted;
  const { firstWait = 500 } = wanted.options;
  if (parts.version === ABSENT.name && isOfCommit(path)) return false;
  let furthest = parts.length;
  let fault = '';
  for (let failures = 0; failures < MAX_TRIES;) {
    if (fault !== '') await sleep(firstWait * 2 ** failures);
    const outcome = await attempt(parts, wanted);
    if (outcome === 'complete') return true;
    if (outcome === 'absent') return false;
    if (outcome === 'restart') {
      fault = `changed or could not be resumed, ${MAX_TRIES} times in a row`;
      failures++; // `furthest` stays: the same bytes again are no progress
      continue;
    }
    fault = outcome.fault;
    failures = parts.length > furthest ? 0 : failures + 1;
    furthest = Math.max(furthest, parts.length);
  }
  throw new CheckpointError(`${path} ${fault}`);
}

/** How one attempt at a download ended. After `restart` the parts are empty; `fault` is worth another try. */
type Outcome = 'complete' | 'absent' | 'restart' | { fault: string };

/** Sends one request for the rest of a file and stores what arrives. */
async function attempt(parts: KeptParts, { file, path, absence, options }: Wanted): Promise<Outcome> {
  const response = await requestRest(parts, path, options.signal);
  if (response === null) return parts.version === ABSENT.name ? 'absent' : { fault: 'can no longer be reached' };
  if (await absence.isMeantBy(file, response)) {
    // only a plain answer is recorded, so that later visits know it without a network
    if (response.status === 404) await parts.begin(ABSENT, null);
    return 'absent';
  }
  const isPastEnd = response.status === 416 && parts.length > 0; // the file has become shorter
  if (!response.ok && !isPastEnd) {
    await cancelBody(response);
    const fault = `cannot be read: HTTP ${response.status}`;
    if (TRANSIENT_STATUSES.includes(response.status)) {
      // what an earlier visit found out stands while the server cannot say
      return parts.version === ABSENT.name ? 'absent' : { fault: `${fault}, ${MAX_TRIES} times in a row` };
    }
    throw new CheckpointError(`${path} ${fault}`);
  }
  const from = parts.length;
  if (from > 0 && !canResume(response, parts)) {
    await cancelBody(response); // the version changed, or the server does not support ranges
    await parts.clear();
    return 'restart';
  }
  if (from === 0) await parts.begin(versionOf(response), sizeOf(response));
  return receive(response, parts, path, file, options);
}

/**
 * Requests the bytes that the store lacks; null if the server cannot be reached but an earlier request found out
 * something about the file. The browser's own cache would keep them a second time, and trusts the computer's clock.
 */
async function requestRest(parts: KeptParts, path: string, signal: AbortSignal | undefined): Promise<Response | null> {
  const headers: Record<string, string> = parts.length > 0 ? { range: `bytes=${parts.length}-` } : {};
  try {
    return await request(path, signal, { headers, cache: 'no-store' });
  } catch (error) {
    const isKnown = parts.length > 0 || parts.version === ABSENT.name;
    if (error instanceof CheckpointError && isKnown) return null;
    throw error;
  }
}

/** Stores the body of a response until it ends or the connection breaks. */
async function receive(
  response: Response,
  parts: KeptParts,
  path: string,
  file: string,
  { onProgress, signal }: KeptFolderOptions,
): Promise<Outcome> {
  let isBroken = false;
  for await (const chunk of chunksOf(response)) {
    if (chunk === null) {
      isBroken = true;
      break;
    }
    await parts.add(chunk);
    const { length, size } = parts;
    if (size !== null && length > size) {
      await parts.clear();
      throw new CheckpointError(`${path} is longer than the announced ${size} bytes`);
    }
    onProgress?.(file, length, size ?? 0);
  }
  signal?.throwIfAborted();
  const isComplete = parts.size === null ? !isBroken : parts.isComplete;
  if (!isComplete) return { fault: `broke off after ${parts.length} bytes, ${MAX_TRIES} times in a row` };
  await parts.finish();
  return 'complete';
}

/** Keeps nothing. */
const NO_STORE: Store = {
  get: () => Promise.resolve(null),
  put: () => Promise.resolve(),
  delete: () => Promise.resolve(),
  names: () => Promise.resolve([]),
};

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The chunks of a response's body; null as the last one if the connection breaks. */
async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array<ArrayBuffer> | null> {
  const reader = body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const next = await reader.read().catch(() => null);
      if (next === null) yield null;
      if (next === null || next.done) return;
      yield next.value as Uint8Array<ArrayBuffer>; // what arrives from a server is never in shared memory
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * Identifies a version of a file: the server's ETag or date for it, and its length. Only a strong ETag means the same
 * bytes, or a date that is old enough for no second change at that date. https://www.rfc-editor.org/rfc/rfc9110#section-8.8
 */
function versionOf(response: Response): Version {
  const { headers } = response;
  const etag = headers.get('etag') ?? '';
  const date = headers.get('last-modified') ?? '';
  const isStrong = etag !== '' && !etag.startsWith('W/');
  const tag = isStrong ? etag : [etag, date].filter((it) => it !== '').join(' ');
  // servers of other origins do not show their clock
  const now = headers.get('date');
  const isDated = date !== '' && (now === null || Date.parse(now) - Date.parse(date) >= 1000);
  return { name: `${tag} ${sizeOf(response) ?? ''}`, isExact: isStrong || isDated };
}

/** Whether a response has the same version as the stored parts. A version with no more than a length matches nothing. */
function isSameVersion(response: Response, { version }: KeptParts): boolean {
  return !version.startsWith(' ') && versionOf(response).name === version;
}

/** Whether a response is the rest of the stored parts. */
function canResume(response: Response, parts: KeptParts): boolean {
  return startOf(response) === parts.length && isSameVersion(response, parts) && versionOf(response).isExact;
}

/** The length of the whole file; null if the response does not say, or gives the compressed length. */
function sizeOf({ headers, status }: Response): number | null {
  if (headers.has('content-encoding')) return null;
  const length = status === 206 ? rangeOf(headers)?.[2] : headers.get('content-length');
  return length == null ? null : Number(length);
}

/** The offset of the response's first byte; null if the response is not a range of the file. */
function startOf({ headers, status }: Response): number | null {
  const range = headers.has('content-encoding') || status !== 206 ? null : rangeOf(headers);
  return range && Number(range[1]);
}

/** Matches the header `content-range: bytes START-END/SIZE`. */
function rangeOf(headers: Headers): RegExpExecArray | null {
  return /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '');
}
