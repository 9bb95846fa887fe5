import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listFiles, modelInfo } from '@huggingface/hub';
import { openFolder } from '../diskFolder.js';
import { openFile } from '../nodeFile.js';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import type { Folder } from '../folder.js';
import { RepoCache, SMALL_FILES } from './cache.js';
import { Connection, TRIES, type HubOptions } from './connection.js';
import { downloadBlob, type RemoteFile } from './download.js';
import { hubUrl, isCommit, type HubId } from './id.js';

/**
 * A model of the Hugging Face Hub as a folder: its files are listed at once, and each is downloaded into the cache when
 * it is opened, so that nothing is downloaded that nobody reads. Without a network it is what the cache has. A commit
 * that is cached is never asked for again.
 *
 * @throws HubError in one line: no such model, no access, no network and no cache.
 */
export async function openHubFolder(
  id: HubId,
  options: HubOptions = {},
  connection: Connection = new Connection(id, options),
): Promise<Folder> {
  const cache = new RepoCache(id.repo);
  const cached = await cache.commitOf(id.revision);
  const whole = cached !== null && (await cache.holdsModel(cached));
  if (whole && isCommit(id.revision)) return cachedFolder(id, cache, cached);
  if (/^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '')) {
    if (cached !== null) {
      connection.note(
        `HF_HUB_OFFLINE is set: taking what the cache has of ${nameOf(id)}, commit ${cached.slice(0, 8)}`,
      );
      return cachedFolder(id, cache, cached);
    }
    throw new HubError(`${nameOf(id)} is neither a folder here nor in ${cache.path}, and HF_HUB_OFFLINE is set`);
  }
  try {
    return await remoteFolder(connection, cache, whole ? 1 : TRIES); // less patience with something to fall back on
  } catch (error) {
    if (!(error instanceof HubError && error.unreachable && cached !== null)) throw error;
    connection.note(`${error.message}; taking what the cache has, commit ${cached.slice(0, 8)}`);
    return await cachedFolder(id, cache, cached);
  }
}

async function remoteFolder(connection: Connection, cache: RepoCache, tries: number): Promise<Folder> {
  const { id } = connection;
  const { commit, files } = await list(connection, tries);
  const base = hubUrl(id.repo, commit, connection.endpoint);

  async function fetchFile(file: RemoteFile): Promise<string> {
    const path = join(cache.snapshot(commit), file.path);
    const blob = cache.blob(file.hash);
    if ((await sizeOf(path)) !== file.size) {
      if ((await sizeOf(blob)) !== file.size) {
        await downloadBlob(file, base + encodeURIComponent(file.path), blob, connection);
      }
      await cache.link(commit, file.path, file.hash);
    }
    await cache.setCommit(id.revision, commit);
    return path;
  }

  // Before a tokenizer.json is here, the tokenizer_config.json that changes its meaning is.
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

/** The commit that a revision means, and the files at the root of it. */
async function list(
  connection: Connection,
  tries: number,
): Promise<{ commit: string; files: Map<string, RemoteFile> }> {
  const { id, endpoint, host } = connection;
  const asked = {
    hubUrl: endpoint,
    fetch: (url: string | URL | Request, init?: RequestInit) => connection.fetch(url, init, tries),
  };
  const files = new Map<string, RemoteFile>();
  try {
    const { sha: commit } = await modelInfo({
      name: id.repo,
      revision: id.revision,
      additionalFields: ['sha'],
      ...asked,
    });
    if (!isCommit(commit)) throw new Error(`${JSON.stringify(commit)} is no commit`);
    for await (const { type, path, size, oid, lfs } of listFiles({ repo: id.repo, revision: commit, ...asked })) {
      if (type !== 'file') continue;
      const hash = lfs?.oid ?? oid ?? '';
      // all of these become names of files here
      const sound = /^[^/\\\p{C}]+$/u.test(path) && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash);
      if (!sound || !Number.isSafeInteger(size) || size < 0)
        throw new Error(`${JSON.stringify(path)} is listed wrongly`);
      files.set(path, { path, size, hash });
    }
    return { commit, files };
  } catch (error) {
    connection.options.signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    const fault = messageOf(error).replaceAll('\n', ' ');
    throw new HubError(`${id.repo}: ${host} does not answer as the Hub does: ${fault}`, { unreachable: true });
  }
}

async function cachedFolder(id: HubId, cache: RepoCache, commit: string): Promise<Folder> {
  return { ...(await openFolder(cache.snapshot(commit))), name: `what the cache has of ${nameOf(id)}` };
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
