import fc from 'fast-check';

/** One seed for all property tests, fixed so that a failure comes back; `FC_SEED=7 npm test` tries another. */
export const SEED: number = Number.parseInt(process.env.FC_SEED ?? '20250711');
fc.configureGlobal({ seed: SEED });

export const mochaHooks: Mocha.RootHookObject = {
  beforeAll() {
    console.log(`  fast-check seed ${SEED} (set FC_SEED for another)\n`);
  },
};
