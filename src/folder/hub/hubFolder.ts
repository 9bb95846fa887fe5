import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listFiles, modelInfo } from '@huggingface/hub';
import { openFolder } from '../diskFolder.js';
import { openFile } from '../nodeFile.js';
import { HubError } from '../../lib/errors.js';
import { EmergentError, messageOf } from '../../../reference/lib/errors.js';
import { quote, visible } from '../../lib/quote.js';
import type { Folder } from '../folder.js';
import { boundedFetch } from './answer.js';
import { RepoCache, SMALL_FILES, UnwritableError } from './cache.js';
import { Connection, MAX_ATTEMPTS, type HubOptions } from './connection.js';
import { downloadBlob, type RemoteFile } from './download.js';
import { offlineVariable } from './environment.js';
import { hubUrl, isCommit, type HubId } from './id.js';

/**
 * Opens a model on the Hugging Face Hub as a folder. The files are listed at once. Each file is downloaded into the cache
 * when it is opened, so files that nobody reads are not downloaded. Without a network, the folder is the cached copy.
 * A complete cached commit needs no requests at all.
 *
 * @throws HubError with a one-line message if the model does not exist, access is denied, or the model is neither
 *   reachable nor cached.
 */
export async function openHubFolder(
  id: HubId,
  options: HubOptions = {},
  connection: Connection = new Connection(id, options),
): Promise<Folder> {
  const cache = new RepoCache(id.repo);
  const cached = await cache.commitOf(id.revision);
  const isComplete = cached !== null && (await cache.holdsModel(cached));
  if (isComplete && isCommit(id.revision)) return cachedFolder(id, cache, cached);
  const offline = offlineVariable();
  if (offline !== null) {
    if (cached === null) {
      const places = `neither a local folder nor in the cache at ${cache.path}`;
      throw new HubError(`${nameOf(id)} is ${places}, and ${offline} is set`);
    }
    connection.note(`${offline} is set: using the cached copy of ${nameOf(id)}, commit ${cached.slice(0, 8)}`);
    return cachedFolder(id, cache, cached);
  }
  try {
    const maxAttempts = isComplete ? 1 : MAX_ATTEMPTS; // a complete copy makes retries pointless
    return await remoteFolder(connection, cache, maxAttempts);
  } catch (error) {
    const isUsable = cached !== null && (isComplete || !(error instanceof UnwritableError));
    if (!(error instanceof HubError && error.unreachable && isUsable)) throw error;
    connection.note(`${error.message}; using the cached copy, commit ${cached.slice(0, 8)}`);
    return await cachedFolder(id, cache, cached);
  }
}

async function remoteFolder(connection: Connection, cache: RepoCache, maxAttempts: number): Promise<Folder> {
  const { id } = connection;
  const { commit, files } = await listCommit(connection, maxAttempts);
  const base = hubUrl(id.repo, commit, connection.endpoint);

  let linksArePossible = true;
  async function fetchFile(file: RemoteFile): Promise<string> {
    const path = join(cache.snapshot(commit), file.path);
    const blob = cache.blob(file.hash);
    if ((await sizeOf(path)) === file.size) {
      await cache.setCommit(id.revision, commit).catch(ignoreUnwritable);
      return path;
    }
    const isNew = (await sizeOf(blob)) !== file.size;
    if (isNew) await downloadBlob(file, base + encodeURIComponent(file.path), blob, connection);
    const isLink = await cache.link(commit, file.path, file.hash, isNew);
    if (!isLink && linksArePossible) {
      connection.note(`no symbolic links in ${cache.path}: each revision stores its files again`);
      linksArePossible = false;
    }
    await cache.setCommit(id.revision, commit);
    return path;
  }

  // The order matters: tokenizer_config.json changes what tokenizer.json means, so it must be cached first.
  for (const name of SMALL_FILES) {
    const file = files.get(name);
    if (file) await fetchFile(file);
  }
  return {
    name: nameOf(id),
    files: [...files.keys()],
    pathOf: (file) => base + encodeURIComponent(file),
    async open(file) {
      const remote = files.get(file);
      return remote ? openFile(await fetchFile(remote)) : null;
    },
  };
}

/** Resolves the revision to a commit and lists the files at its root. */
async function listCommit(
  connection: Connection,
  maxAttempts: number,
): Promise<{ commit: string; files: Map<string, RemoteFile> }> {
  const { id, endpoint, host } = connection;
  const access = { hubUrl: endpoint, fetch: boundedFetch(connection, maxAttempts) };
  const files = new Map<string, RemoteFile>();
  try {
    const info = await modelInfo({ name: id.repo, revision: id.revision, additionalFields: ['sha'], ...access });
    const commit = info.sha;
    if (!isCommit(commit)) throw new Error(`${quote(commit)} is not a commit hash`);
    for await (const { type, path, size, oid, lfs } of listFiles({ repo: id.repo, revision: commit, ...access })) {
      if (type !== 'file') continue;
      const file = { path, size, hash: lfs?.oid ?? oid ?? '' };
      if (!isValid(file)) throw new Error(`the list of files has an invalid entry for ${quote(path)}`);
      files.set(path, file);
    }
    return { commit, files };
  } catch (error) {
    connection.options.signal?.throwIfAborted();
    if (error instanceof EmergentError) throw error;
    const fault = visible(messageOf(error).slice(0, 300)); // it may quote the answer
    throw new HubError(`${id.repo}: ${host} does not respond like the Hub: ${fault}`, { unreachable: true });
  }
}

/** As in Python, a cache that holds the file may be read-only: then the revision is looked up again the next time. */
function ignoreUnwritable(error: unknown): void {
  if (!(error instanceof UnwritableError)) throw error;
}

/** Path and hash become file names in the cache, so neither may lead out of it. */
function isValid({ path, size, hash }: RemoteFile): boolean {
  const hasSafeNames = /^[^/\\\p{C}]+$/u.test(path) && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash);
  return hasSafeNames && Number.isSafeInteger(size) && size >= 0;
}

async function cachedFolder(id: HubId, cache: RepoCache, commit: string): Promise<Folder> {
  return { ...(await openFolder(cache.snapshot(commit))), name: `the cached copy of ${nameOf(id)}` };
}

function nameOf({ repo, revision }: HubId): string {
  return `${repo}@${revision}`;
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}
