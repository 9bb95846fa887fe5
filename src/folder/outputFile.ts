import { unlinkSync } from 'node:fs';
import { chmod, mkdir, open, readdir, readlink, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf } from '../../reference/lib/errors.js';
import { CheckpointError } from '../lib/errors.js';

/** The bytes of a file, piece by piece. */
export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Linux transfers at most 2 GiB in one write call. */
const MAX_CALL = 2 ** 30;
/** A temporary file of a process that has died is removed once it is this old: its process may live on another host. */
const STALE_MS = 600_000;
const MAX_LINKS = 40;
const TEMPORARY = /^\.emergent-(\d+)-\d+\.part$/;

/** Temporary files that this process is writing. */
const temporaries = new Set<string>();
let temporaryCount = 0;

/** Removes what this process has begun to write: for handlers of signals, after which no code runs. */
export function removeTemporaries(): void {
  for (const path of temporaries) {
    try {
      unlinkSync(path);
    } catch {
      // it has its final name by now, or is gone
    }
  }
  temporaries.clear();
}

/**
 * Writes a file. It is written under a temporary name in its folder and renamed when it is complete, so an interrupted
 * write changes nothing. A symbolic link stays a link: its target is replaced, and keeps its mode.
 *
 * @throws CheckpointError if the file cannot be written. A previous file of that name is then unchanged.
 */
export async function writeFileWhole(path: string, pieces: Pieces): Promise<void> {
  await withWriteErrors(path, async () => {
    const { temporary, target } = await writeTemporary(path, pieces);
    await commit(temporary, target);
  });
}

/**
 * Writes several files into a folder, all of them or none: first every file under a temporary name, then the renames. The
 * last file is what makes the others visible to a loader; it is absent while they are renamed.
 *
 * @param files names and contents, such as weights first and `config.json` last
 * @param stale files to remove, which a loader would otherwise read beside the new ones
 * @throws CheckpointError if a file cannot be written. The folder is then unchanged.
 */
export async function writeFolderWhole(
  folder: string,
  files: readonly (readonly [name: string, pieces: Pieces])[],
  stale: readonly string[] = [],
): Promise<void> {
  await makeFolder(folder);
  const written: { temporary: string; target: string }[] = [];
  try {
    for (const [name, pieces] of files) {
      const path = join(folder, name);
      await withWriteErrors(path, async () => written.push(await writeTemporary(path, pieces)));
    }
    await withWriteErrors(folder, async () => {
      const last = written.at(-1);
      if (last) await rm(last.target, { force: true });
      for (const name of stale) await rm(join(folder, name), { force: true });
      for (const { temporary, target } of written) await commit(temporary, target);
    });
  } catch (error) {
    for (const { temporary } of written) await discard(temporary);
    throw error;
  }
}

/**
 * Checks, before any work is done, that a file can be written and that writing it loses no input.
 *
 * @param inputs files, and folders whose files are all inputs
 * @throws CheckpointError if `path` is one of them, under whatever name, or if its folder cannot take a file.
 */
export async function checkOutput(path: string, inputs: readonly string[] = []): Promise<void> {
  await withWriteErrors(path, async () => {
    const target = await targetOf(path);
    await checkFolder(dirname(target));
    const own = await stat(target).catch(() => null);
    if (own) await checkIsNoInput(path, own, inputs);
  });
}

/** Compares by device and inode, which links of either kind share. */
async function checkIsNoInput(
  path: string,
  own: { dev: number; ino: number },
  inputs: readonly string[],
): Promise<void> {
  for (const input of inputs) {
    const names = await readdir(input).catch(() => null);
    for (const file of names?.map((name) => join(input, name)) ?? [input]) {
      const status = await stat(file).catch(() => null);
      if (status?.ino !== own.ino || status.dev !== own.dev) continue;
      throw new CheckpointError(`${path} is an input of this command (${file}): choose another name for the output`);
    }
  }
}

/**
 * Creates a folder and those above it.
 *
 * @throws CheckpointError if it cannot be created.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    const missing: string[] = [];
    let above = resolve(folder);
    while (!(await isFolder(above))) {
      missing.push(above);
      above = dirname(above);
    }
    // One by one: where a file system refuses new folders, as /proc does, Node's recursive mkdir never returns.
    for (const path of missing.reverse()) {
      await mkdir(path).catch(async (error: unknown) => {
        if (!(await isFolder(path))) throw error;
      });
    }
  } catch (error) {
    throw new CheckpointError(`${folder} cannot be created: ${messageOf(error)}`);
  }
}

/** Whether a path is a folder. @throws Error if it is something else. */
async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  throw new Error(`${path} is not a folder`);
}

/** Tries to create a file in the folder, or in the nearest one above that exists. */
async function checkFolder(folder: string): Promise<void> {
  if (!(await isFolder(folder))) throw new Error(`${folder} does not exist`);
  const probe = temporaryIn(folder);
  await (await open(probe, 'wx')).close();
  await discard(probe);
}

/** The file that a path means, at the end of its symbolic links, where it may not exist yet. */
async function targetOf(path: string): Promise<string> {
  if (isDevice(resolve(path))) throw new Error('it is a device; to write to standard output, name it -');
  let target = resolve(path);
  for (let links = 0; ; links++) {
    const link = await readlink(target).catch(() => null);
    if (link === null) break;
    if (links === MAX_LINKS) throw new Error('too many symbolic links');
    target = resolve(dirname(target), link);
  }
  if (isDevice(target)) throw new Error('it is a device; to write to standard output, name it -');
  const status = await stat(target).catch(() => null);
  if (status && !status.isFile()) throw new Error(status.isDirectory() ? 'it is a folder' : 'it is not a file');
  return status ? realpath(target) : target;
}

/** Renaming a file over a device would replace the device itself. */
function isDevice(path: string): boolean {
  return /^\/(dev|proc)\//.test(path);
}

async function writeTemporary(path: string, pieces: Pieces): Promise<{ temporary: string; target: string }> {
  const target = await targetOf(path);
  const folder = dirname(target);
  await removeStale(folder);
  const temporary = temporaryIn(folder);
  try {
    const handle = await open(temporary, 'wx');
    try {
      const former = await stat(target).catch(() => null);
      if (former) await chmod(temporary, former.mode & 0o7777);
      for await (const piece of pieces) await writeAll(handle, piece);
      await handle.sync(); // otherwise the new name could reach the disk before the data
    } finally {
      await handle.close();
    }
    return { temporary, target };
  } catch (error) {
    await discard(temporary);
    throw error;
  }
}

/** A short name: one that is made from the file's could be too long. */
function temporaryIn(folder: string): string {
  temporaryCount++;
  const path = join(folder, `.emergent-${process.pid}-${temporaryCount}.part`);
  temporaries.add(path);
  return path;
}

async function commit(temporary: string, target: string): Promise<void> {
  try {
    await rename(temporary, target);
    temporaries.delete(temporary);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
}

/** Removes a temporary file; the error that led here is the one to report. */
async function discard(temporary: string): Promise<void> {
  await rm(temporary, { force: true }).catch(() => undefined);
  temporaries.delete(temporary);
}

/** Removes what processes that were killed have left in a folder. */
async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const owner = TEMPORARY.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const path = join(folder, basename(name));
    const status = await stat(path).catch(() => null);
    if (status && Date.now() - status.mtimeMs > STALE_MS) await rm(path, { force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, MAX_CALL));
    done += bytesWritten;
  }
}

async function withWriteErrors<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${path} cannot be written: ${messageOf(error)}`);
  }
}
