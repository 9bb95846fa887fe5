/**
 * Runs Mocha: `npm test` everything but *.slow.test.ts, `npm run test:all` those as well, both two files at a time;
 * `npm test -- FILE...` only these files. Other options go to Mocha. Ends with the list of what did not run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { printNotRun, printSeed } from './support/setup.js';

const given = process.argv.slice(2);
const all = given.includes('--all');
const args = given.filter((arg) => arg !== '--all');
// A file that does not exist reaches Mocha as well, which then names it.
const hasFiles = args.some((arg) => existsSync(arg) || arg.endsWith('.test.ts'));
const spec = hasFiles
  ? []
  : [
      ...['--parallel', '--jobs', '2'],
      'test/**/*.test.ts',
      ...['--ignore', 'test/{package,full,browser}/**'],
      ...(all ? [] : ['--ignore', '**/*.slow.test.ts']),
    ];
const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha/package.json')), 'bin/mocha.js');

const folder = mkdtempSync(join(tmpdir(), 'emergent-tests-'));
const notRun = join(folder, 'not-run');
printSeed();
const { status } = spawnSync(process.execPath, [mocha, ...args, ...spec], {
  stdio: 'inherit',
  env: { ...process.env, EMERGENT_NOT_RUN: notRun },
});
const skipped = existsSync(notRun) ? readFileSync(notRun, 'utf8').split('\n').filter(Boolean).sort() : [];
rmSync(folder, { recursive: true });
printNotRun([...skipped, ...(all || hasFiles ? [] : slowFiles())]);
process.exitCode = status ?? 1;

/** The files that `npm test` leaves to `npm run test:all`. */
function slowFiles(): string[] {
  return readdirSync(new URL('./', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.slow.test.ts'))
    .map((file) => `test/${file.replaceAll('\\', '/')}: slow; npm run test:all runs it`)
    .sort();
}
