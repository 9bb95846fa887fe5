import { readdirSync } from 'node:fs';
import fc from 'fast-check';

/** One seed for all property tests, fixed so that a failure comes back; `FC_SEED=7 npm test` tries another. */
export const SEED: number = Number.parseInt(process.env.FC_SEED ?? '20250711');
fc.configureGlobal({ seed: SEED });

export const mochaHooks: Mocha.RootHookObject = {
  beforeAll(this: Mocha.Context) {
    console.log(`  fast-check seed ${SEED} (set FC_SEED for another)\n`);
    const root = this.test!.parent!;
    // Mocha's summary comes after all hooks; this block comes after the summary.
    process.on('exit', () => printNotRun([...skippedIn(root), ...slowFiles()]));
  },
};

function printNotRun(lines: readonly string[]): void {
  if (lines.length > 0) console.log(`  Not run:\n${lines.map((line) => `  - ${line}`).join('\n')}\n`);
}

/** The titles of skipped tests, which end with the reason. */
function skippedIn(suite: Mocha.Suite): string[] {
  const own = suite.tests.filter((test) => test.isPending()).map((test) => test.fullTitle());
  return [...own, ...suite.suites.flatMap(skippedIn)];
}

/** The files that `npm test` leaves to `npm run test:all`. */
function slowFiles(): string[] {
  if (!process.env.EMERGENT_SLOW_LEFT_OUT) return [];
  return readdirSync(new URL('../', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.slow.test.ts'))
    .map((file) => `test/${file.replaceAll('\\', '/')}: slow; npm run test:all runs it`)
    .sort();
}

/** Skips a test or, in a hook, its suite, and adds the reason to the titles. */
export function skip(context: Mocha.Context, reason: string): never {
  const { test } = context;
  const target = (test as { type?: string } | undefined)?.type === 'hook' ? test?.parent : test;
  if (target) target.title += `: ${reason}`;
  return context.skip();
}
