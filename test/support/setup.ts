import { appendFileSync } from 'node:fs';
import fc from 'fast-check';

/** One seed for all property tests, fixed so that a failure comes back; `FC_SEED=7 npm test` tries another. */
export const SEED: number = Number.parseInt(process.env.FC_SEED ?? '20250711');
fc.configureGlobal({ seed: SEED });

/** Where test/run.ts collects what did not run, from several processes. Without it each process prints its own. */
const NOT_RUN = process.env.EMERGENT_NOT_RUN;

export const mochaHooks: Mocha.RootHookObject = {
  beforeAll(this: Mocha.Context) {
    if (NOT_RUN === undefined) printSeed();
    const root = this.test!.parent!;
    // Mocha's summary comes after all hooks; this block comes after the summary.
    process.on('exit', () => {
      const skipped = skippedIn(root);
      if (NOT_RUN === undefined) printNotRun(skipped);
      else appendFileSync(NOT_RUN, skipped.map((line) => `${line}\n`).join(''));
    });
  },
};

export function printSeed(): void {
  console.log(`  fast-check seed ${SEED} (set FC_SEED for another)\n`);
}

export function printNotRun(lines: readonly string[]): void {
  if (lines.length > 0) console.log(`  Not run:\n${lines.map((line) => `  - ${line}`).join('\n')}\n`);
}

/** The titles of skipped tests, which end with the reason. */
function skippedIn(suite: Mocha.Suite): string[] {
  const own = suite.tests.filter((test) => test.isPending()).map((test) => test.fullTitle());
  return [...own, ...suite.suites.flatMap(skippedIn)];
}

/** Skips a test or, in a hook, its suite, and adds the reason to the titles. */
export function skip(context: Mocha.Context, reason: string): never {
  const { test } = context;
  const target = (test as { type?: string } | undefined)?.type === 'hook' ? test?.parent : test;
  if (target) target.title += `: ${reason}`;
  return context.skip();
}
