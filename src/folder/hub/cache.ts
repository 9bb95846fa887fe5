import { copyFile, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { getHFHubCachePath, getRepoFolderName } from '@huggingface/hub';
import { writeFileWhole } from '../nodeFile.js';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { isCommit } from './id.js';

/** What a model needs beside its weights. */
export const SMALL_FILES = ['tokenizer_config.json', 'tokenizer.json', 'config.json'] as const;

/**
 * Where a model of the Hub lies on this machine, as Python's huggingface_hub lays it out: `blobs/HASH` holds what a file
 * says, `snapshots/COMMIT/FILE` is a link to it, `refs/BRANCH` holds the hash of a commit. HF_HUB_CACHE and HF_HOME say
 * where.
 */
export class RepoCache {
  readonly path: string;

  constructor(repo: string) {
    const root = getHFHubCachePath().replace(/^~(?=$|[/\\])/, homedir());
    this.path = join(root, getRepoFolderName({ type: 'model', name: repo }));
  }

  blob(hash: string): string {
    return join(this.path, 'blobs', hash);
  }

  snapshot(commit: string): string {
    return join(this.path, 'snapshots', commit);
  }

  /** The commit that a revision meant when it was last asked for; null if that is not known or none of it is here. */
  async commitOf(revision: string): Promise<string | null> {
    const ref = await readFile(this.#ref(revision), 'utf8').catch(() => '');
    const commit = isCommit(revision) ? revision : ref.trim();
    return isCommit(commit) && (await isThere(this.snapshot(commit))) ? commit : null;
  }

  /** Whether a file of a snapshot is here, whole. */
  async holds(commit: string, file: string): Promise<boolean> {
    return isThere(join(this.snapshot(commit), file));
  }

  /** Whether all is here that it takes to load a model. */
  async holdsModel(commit: string): Promise<boolean> {
    for (const file of ['tokenizer.json', 'config.json']) if (!(await this.holds(commit, file))) return false;
    if (await this.holds(commit, 'model.safetensors')) return true;
    const index = await readFile(join(this.snapshot(commit), 'model.safetensors.index.json'), 'utf8').catch(() => '{}');
    const shards = new Set(index.match(/[^"/\\]+\.safetensors(?=")/g));
    for (const shard of shards) if (!(await this.holds(commit, shard))) return false;
    return shards.size > 0;
  }

  /**
   * Puts a blob into a snapshot: a link, or a copy where a system has none.
   *
   * @throws HubError if neither can be made.
   */
  async link(commit: string, file: string, hash: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.part`;
    await writing(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      try {
        await symlink(relative(dirname(path), this.blob(hash)), temporary);
      } catch {
        await copyFile(this.blob(hash), temporary);
      }
      await rename(temporary, path); // in one step, so that two processes can do it at once
    }).finally(() => rm(temporary, { force: true }));
  }

  /**
   * Remembers what a revision means. A former meaning stays until all of the new one is here, so that without a network
   * something whole is found.
   *
   * @throws HubError if it cannot be written.
   */
  async remember(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const former = await this.commitOf(revision);
    if (former === commit || (former !== null && !(await this.holdsModel(commit)))) return;
    const path = this.#ref(revision);
    await writing(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await writeFileWhole(path, [new TextEncoder().encode(commit)]);
    });
  }

  #ref(revision: string): string {
    return join(this.path, 'refs', ...revision.split('/'));
  }
}

/** Whether a file or folder, or what a link leads to, exists. */
export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Turns a fault of the disk into a line that names the file. */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new HubError(`${path} cannot be written: ${messageOf(error)}`);
  }
}
