/**
 * Runs Mocha: `npm test` everything but *.slow.test.ts, `npm run test:all` those as well, `npm test -- FILE...` only
 * these files. Other options go to Mocha.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const given = process.argv.slice(2);
const all = given.includes('--all');
const args = given.filter((arg) => arg !== '--all');
// A file that does not exist reaches Mocha as well, which then names it.
const hasFiles = args.some((arg) => existsSync(arg) || arg.endsWith('.test.ts'));
const spec = hasFiles
  ? []
  : [
      'test/**/*.test.ts',
      '--ignore',
      `test/{package,full,browser}/**`,
      ...(all ? [] : ['--ignore', '**/*.slow.test.ts']),
    ];
const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha/package.json')), 'bin/mocha.js');
const { status } = spawnSync(process.execPath, [mocha, ...args, ...spec], {
  stdio: 'inherit',
  env: { ...process.env, EMERGENT_SLOW_LEFT_OUT: all || hasFiles ? '' : '1' },
});
process.exitCode = status ?? 1;
