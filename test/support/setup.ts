import fc from 'fast-check';

/** One seed for all property tests, fixed so that a failure comes back; `FC_SEED=7 npm test` tries another. */
const seed = Number(process.env.FC_SEED ?? 20250711);
fc.configureGlobal({ seed });

export const mochaHooks: Mocha.RootHookObject = {
  beforeAll() {
    console.log(`  fast-check seed ${seed} (set FC_SEED for another)\n`);
  },
};
