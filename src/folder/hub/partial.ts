import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** A partial file that did not grow for this long counts as abandoned. */
const ABANDONED_MS = 10 * 60_000;

/** This machine in names of partial files. With a whole name of up to 255 letters, a file name could get too long. */
const HOST = hostname().slice(0, 40);

/**
 * Returns the path of a partial file for a blob, `HASH.OWNER.incomplete` in the same folder. Only its owner writes to
 * it. If an earlier owner released its partial file or died, we take that file over by renaming it. Only one process can
 * succeed with the rename.
 */
export async function claimPartial(blob: string): Promise<string> {
  const mine = `${blob}.${HOST}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`;
  for (const path of await abandonedPartials(blob)) {
    const taken = await rename(path, mine).then(
      () => true,
      () => false,
    );
    if (taken) break;
  }
  return mine;
}

/** Releases a partial file, so that the next attempt can resume from it. */
export async function releasePartial(partial: string, blob: string): Promise<void> {
  const status = await stat(partial).catch(() => null);
  if (!status) return;
  const free = `${blob}.free.incomplete`;
  const other = await stat(free).catch(() => null);
  const isUseless = status.size === 0 || (other !== null && other.size >= status.size);
  // An error here would hide why the download failed. What is left behind is taken over once we are gone.
  await (isUseless ? rm(partial, { force: true }) : rename(partial, free)).catch(() => undefined);
}

/** Removes the abandoned partial files of a blob that is now complete. */
export async function removePartials(blob: string): Promise<void> {
  for (const path of await abandonedPartials(blob)) await rm(path, { force: true }).catch(() => undefined);
}

/** The partial files of a blob that nobody writes to, longest first. */
async function abandonedPartials(blob: string): Promise<string[]> {
  const names = await readdir(dirname(blob)).catch(() => []);
  const found: { path: string; size: number }[] = [];
  for (const name of names) {
    const owner = ownerOf(name, basename(blob));
    if (owner === null) continue;
    const path = join(dirname(blob), name);
    const status = await stat(path).catch(() => null);
    if (!status) continue;
    // a time in the future means that the clock was set back since
    const isAbandoned = Math.abs(Date.now() - status.mtimeMs) > ABANDONED_MS || isGone(owner);
    if (isAbandoned) found.push({ path, size: status.size });
  }
  return found.sort((a, b) => b.size - a.size).map(({ path }) => path);
}

/** The owner of a partial file; null for any other file, including Python's `HASH.incomplete`. */
function ownerOf(name: string, blob: string): string | null {
  const ending = '.incomplete';
  if (!name.startsWith(`${blob}.`) || !name.endsWith(ending) || name === blob + ending) return null;
  return name.slice(blob.length + 1, -ending.length);
}

/** Whether the owner released the file, or was a process of this machine that no longer runs. */
function isGone(owner: string): boolean {
  if (owner === 'free') return true;
  const [, host, pid] = (/^(.+)-(\d+)-[0-9a-f]+$/.exec(owner) ?? []) as (string | undefined)[];
  if (host?.slice(0, 40) !== HOST) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
