import { copyFile, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { getRepoFolderName } from '@huggingface/hub';
import { makeFolder, writeFileWhole } from '../outputFile.js';
import { HubError } from '../../lib/errors.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { cachePath, symlinksDisabled } from './environment.js';
import { isCommit } from './id.js';

/** The files that a model needs besides its weights. */
export const SMALL_FILES = ['tokenizer_config.json', 'tokenizer.json', 'config.json'] as const;

/**
 * The cached files of one Hub model, in the layout of Python's huggingface_hub: `blobs/HASH` has the content of a file,
 * `snapshots/COMMIT/FILE` links to it, and `refs/BRANCH` contains a commit hash.
 */
export class RepoCache {
  readonly path: string;

  constructor(repo: string) {
    this.path = join(cachePath(), getRepoFolderName({ type: 'model', name: repo }));
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
   * Adds a blob to a snapshot as a symbolic link. Where links are not supported, a new blob is moved there and an older one,
   * which other snapshots may need, is copied.
   *
   * @returns whether it is a link
   * @throws HubError if the file cannot be written.
   */
  async link(commit: string, file: string, hash: string, isNew: boolean): Promise<boolean> {
    const path = join(this.snapshot(commit), file);
    const blob = this.blob(hash);
    // not named after the file, whose name may be as long as a name can be
    const temporary = join(dirname(path), `.${process.pid}-${Math.random().toString(36).slice(2)}.part`);
    return withWriteErrors(path, async () => {
      await makeFolder(dirname(path));
      // each step is atomic, so two processes can do it at the same time
      const isLink = await makeLink(relative(dirname(path), blob), temporary);
      if (isLink) await rename(temporary, path);
      else if (isNew) await rename(blob, path).catch(unlessExists(path));
      else {
        await copyFile(blob, temporary);
        await rename(temporary, path);
      }
      return isLink;
    }).finally(() => rm(temporary, { force: true }).catch(() => undefined));
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
      await makeFolder(dirname(path));
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

/** The cache cannot be written, so only what it already holds can be used. */
export class UnwritableError extends HubError {
  constructor(path: string, fault: string) {
    super(`${path} cannot be written: ${fault}`, { unreachable: true });
  }
}

/** Runs `write` and reports its errors as a HubError that names the file. */
export async function withWriteErrors<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw error instanceof HubError ? error : new UnwritableError(path, messageOf(error).replaceAll('\n', ' '));
  }
}

/** Makes a symbolic link; false where the system, the file system or the user forbids it. */
async function makeLink(target: string, path: string): Promise<boolean> {
  if (symlinksDisabled()) return false;
  return symlink(target, path).then(
    () => true,
    () => false,
  );
}

/** Ignores an error if another process has done the work meanwhile. */
function unlessExists(path: string): (error: unknown) => Promise<void> {
  return async (error) => {
    if (!(await exists(path))) throw error;
  };
}
