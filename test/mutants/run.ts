/**
 * Plants one bug after the other in a copy of the tree and runs the tests that should see it:
 *
 *     npm run mutants [-- --only TEXT]
 *
 * Prints the survivors. Exit 1 if there are more than those that the list explains.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { progressBar, table } from '../../src/cli/output.js';
import { MUTANTS, type Mutant } from './list.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Copies of the tree that run side by side. */
const COPIES = 2;
const TIMEOUT_MS = 240_000;
const LEFT_OUT = ['.git', 'node_modules', 'dist', 'coverage', '.mutants'];

const { only = '' } = new Command('mutants')
  .option('--only <text>', 'mutants whose file or name contains this')
  .parse()
  .opts<{ only?: string }>();
const chosen = MUTANTS.filter(({ file, name }) => `${file} ${name}`.includes(only));

function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'emergent-mutants-'));
  const isKept = (path: string): boolean => !LEFT_OUT.includes(path.slice(root.length).split('/')[0]);
  cpSync(root, copy, { recursive: true, filter: isKept });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Whether the tests pass in a copy. */
async function passes(copy: string, tests: readonly string[]): Promise<boolean> {
  const mocha = join('node_modules', 'mocha', 'bin', 'mocha.js');
  try {
    await run(process.execPath, [mocha, '--bail', ...tests], { cwd: copy, timeout: TIMEOUT_MS, maxBuffer: 2 ** 28 });
    return true;
  } catch {
    return false;
  }
}

/** Plants a bug, rebuilds the kernels if it is one of theirs, runs the tests and mends it. */
async function survives(copy: string, { file, find, replace, tests }: Mutant): Promise<boolean> {
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  if (source.split(find).length !== 2)
    throw new Error(`${file}: stands there ${source.split(find).length - 1} times: ${find}`);
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
  const isKernel = file.startsWith('accel/simd/assembly/');
  const build = (): Promise<unknown> => run(process.execPath, ['accel/simd/assembly/build.mjs'], { cwd: copy });
  try {
    if (isKernel) await build();
    return await passes(copy, tests);
  } finally {
    writeFileSync(path, source);
    if (isKernel) await build();
  }
}

/** Tests that fail without a bug would make every mutant look caught. */
async function checkBaseline(copy: string): Promise<void> {
  const lists = new Map(chosen.map(({ tests }) => [tests.join(' '), tests]));
  const progress = progressBar('tests without a bug', String);
  let done = 0;
  for (const [names, tests] of lists) {
    if (!(await passes(copy, tests))) throw new Error(`these tests fail without a bug: ${names}`);
    done++;
    progress(done, lists.size);
  }
}

for (const { file, find } of chosen) {
  const times = readFileSync(join(root, file), 'utf8').split(find).length - 1;
  if (times === 1) continue;
  process.stderr.write(`mutants: ${file} contains ${times} times, not once: ${find}\n`);
  process.exitCode = 2;
}
if (process.exitCode !== 2) {
  const copies = Array.from({ length: COPIES }, copyTree);
  const progress = progressBar('mutants', String);
  const queue = chosen.values();
  const survivors: Mutant[] = [];
  let done = 0;
  try {
    await checkBaseline(copies[0]);
    await Promise.all(
      copies.map(async (copy) => {
        for (const mutant of queue) {
          if (await survives(copy, mutant)) survivors.push(mutant);
          done++;
          progress(done, chosen.length);
        }
      }),
    );
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
  }
  const unexplained = survivors.filter(({ equivalent }) => equivalent === undefined);
  const equivalent = chosen.filter((mutant) => mutant.equivalent !== undefined).length;
  console.log(
    `${chosen.length - survivors.length} of ${chosen.length - equivalent} mutants caught, ${equivalent} equivalent`,
  );
  if (survivors.length > 0) {
    console.log(table(survivors.map(({ file, name, equivalent: why }) => [file, name, why ?? 'SURVIVES'])));
  }
  process.exitCode = unexplained.length === 0 ? 0 : 1;
}
