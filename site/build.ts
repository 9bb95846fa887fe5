import { execSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeBook } from './book.js';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Builds `dist/site`: the playground at its root, the API in `api`, the reference book in `book`. */
function run(command: string): void {
  execSync(command, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, VITE_SITE: '1' } });
}

run('npm run --silent build:play');
run('npx typedoc --logLevel Warn --out dist/site/api');
await writeBook(join(ROOT, 'dist/site/book'));

// TypeDoc copies the README's figure, but not the sources that its boxes link to
const figure = await readFile(join(ROOT, 'dist/site/book/architecture.svg'), 'utf8');
await writeFile(
  join(ROOT, 'dist/site/api/media/architecture.svg'),
  figure.replaceAll('href="source/', 'href="../../book/source/'),
);
