import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** After so long without a byte nobody is taken to be writing any more. */
const ABANDONED_MS = 10 * 60_000;

/**
 * What an interrupted download left of a blob: `HASH.OWNER.incomplete` beside it. Only its owner writes to it; one whose
 * owner let go of it or died can be taken over, and because that is a rename, by one process only.
 */
export async function claimPartial(blob: string): Promise<string> {
  const mine = `${blob}.${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`;
  for (const path of await abandonedPartials(blob)) {
    const taken = await rename(path, mine).then(
      () => true,
      () => false,
    );
    if (taken) break;
  }
  return mine;
}

/** Lets go of a partial file, so that the next attempt can go on from there. */
export async function releasePartial(partial: string, blob: string): Promise<void> {
  const status = await stat(partial).catch(() => null);
  if (!status) return;
  if (status.size === 0) await rm(partial, { force: true });
  else await rename(partial, `${blob}.free.incomplete`).catch(() => undefined);
}

/** Removes what others left of a blob that is now here. */
export async function removePartials(blob: string): Promise<void> {
  for (const path of await abandonedPartials(blob)) await rm(path, { force: true });
}

/** Partial files of a blob that nobody writes to, the longest first. */
async function abandonedPartials(blob: string): Promise<string[]> {
  const names = await readdir(dirname(blob)).catch(() => []);
  const found: { path: string; size: number }[] = [];
  for (const name of names) {
    const owner = ownerOf(name, basename(blob));
    if (owner === null) continue;
    const path = join(dirname(blob), name);
    const status = await stat(path).catch(() => null);
    if (status && (Date.now() - status.mtimeMs > ABANDONED_MS || isGone(owner)))
      found.push({ path, size: status.size });
  }
  return found.sort((a, b) => b.size - a.size).map(({ path }) => path);
}

/** Whose partial file of a blob this is; null for any other file, Python's `HASH.incomplete` among them. */
function ownerOf(name: string, blob: string): string | null {
  const ending = '.incomplete';
  if (!name.startsWith(`${blob}.`) || !name.endsWith(ending) || name === blob + ending) return null;
  return name.slice(blob.length + 1, -ending.length);
}

/** Whether the process that wrote a partial file let go of it or, on this machine, exists no more. */
function isGone(owner: string): boolean {
  if (owner === 'free') return true;
  const [, host, pid] = /^(.+)-(\d+)-[0-9a-f]+$/.exec(owner) ?? [];
  if (host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
