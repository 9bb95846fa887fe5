import { execSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { writeBook } from './book.js';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Builds `dist/site`: the playground at its root, the API in `api`, the reference book in `book`. */
function run(command: string): void {
  execSync(command, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, VITE_SITE: '1' } });
}

run('npm run --silent build:play');
run('npx typedoc --logLevel Warn --out dist/site/api');
await writeBook(join(ROOT, 'dist/site/book'));
