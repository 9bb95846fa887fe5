import { copyFile, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { getHFHubCachePath, getRepoFolderName } from '@huggingface/hub';
import { writeFileWhole } from '../outputFile.js';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { isCommit } from './id.js';

/** The files that a model needs besides its weights. */
export const SMALL_FILES = ['tokenizer_config.json', 'tokenizer.json', 'config.json'] as const;

/**
 * The cached files of one Hub model, in the layout of Python's huggingface_hub: `blobs/HASH` has the content of a file,
 * `snapshots/COMMIT/FILE` links to it, and `refs/BRANCH` contains a commit hash. HF_HUB_CACHE and HF_HOME set the
 * location.
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

  /** The commit that a revision last referred to; null if it is unknown or nothing of it is cached. */
  async commitOf(revision: string): Promise<string | null> {
    const ref = await readFile(this.#ref(revision), 'utf8').catch(() => '');
    const commit = isCommit(revision) ? revision : ref.trim();
    return isCommit(commit) && (await exists(this.snapshot(commit))) ? commit : null;
  }

  /** Whether a file of a snapshot is cached. Files appear there only when they are complete. */
  async holds(commit: string, file: string): Promise<boolean> {
    return exists(join(this.snapshot(commit), file));
  }

  /** Whether every file needed to load the model is cached. */
  async holdsModel(commit: string): Promise<boolean> {
    for (const file of ['tokenizer.json', 'config.json']) {
      if (!(await this.holds(commit, file))) return false;
    }
    if (await this.holds(commit, 'model.safetensors')) return true;
    const index = await readFile(join(this.snapshot(commit), 'model.safetensors.index.json'), 'utf8').catch(() => '{}');
    const shards = new Set(index.match(/[^"/\\]+\.safetensors(?=")/g));
    for (const shard of shards) {
      if (!(await this.holds(commit, shard))) return false;
    }
    return shards.size > 0;
  }

  /**
   * Adds a blob to a snapshot as a symbolic link, or as a copy where links are not supported.
   *
   * @throws HubError if the file cannot be written.
   */
  async link(commit: string, file: string, hash: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.part`;
    await withWriteErrors(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      try {
        await symlink(relative(dirname(path), this.blob(hash)), temporary);
      } catch {
        await copyFile(this.blob(hash), temporary);
      }
      await rename(temporary, path); // atomic, so two processes can do it at the same time
    }).finally(() => rm(temporary, { force: true }));
  }

  /**
   * Records which commit a revision refers to. The previous commit stays recorded until the new one is complete, so that
   * a complete model can be loaded offline.
   *
   * @throws HubError if the record cannot be written.
   */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const previous = await this.commitOf(revision);
    if (previous === commit) return;
    if (previous !== null && !(await this.holdsModel(commit))) return;
    const path = this.#ref(revision);
    await withWriteErrors(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await writeFileWhole(path, [new TextEncoder().encode(commit)]);
    });
  }

  #ref(revision: string): string {
    return join(this.path, 'refs', ...revision.split('/'));
  }
}

/** Whether a file or folder exists. A link exists if its target does. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Runs `write` and reports its errors as a HubError that names the file. */
export async function withWriteErrors<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new HubError(`${path} cannot be written: ${messageOf(error)}`);
  }
}
