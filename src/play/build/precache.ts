import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Plugin } from 'vite';

const SCRIPT = 'serviceWorker.js';

/** Writes the list of all files of the page, and a hash of their contents, into its service worker. */
export function precache(outDir: string): Plugin {
  return {
    name: 'precache',
    apply: 'build',
    enforce: 'post',
    closeBundle: { order: 'post', sequential: true, handler: () => writePrecache(outDir) },
  };
}

async function writePrecache(outDir: string): Promise<void> {
  const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name !== SCRIPT)
    .map((entry) => join(entry.parentPath, entry.name).slice(outDir.length + 1))
    .map((file) => file.split(sep).join('/'))
    .sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`).update(await readFile(join(outDir, file)));
  const list = JSON.stringify({ version: hash.digest('hex').slice(0, 16), files });
  const path = join(outDir, SCRIPT);
  const script = await readFile(path, 'utf8');
  const filled = script.replace(/["'`]%PRECACHE%["'`]/, () => JSON.stringify(list));
  if (filled === script) throw new Error(`${SCRIPT} has no place for the list of files`);
  await writeFile(path, filled);
}
