import { opTests } from './opTests.js';

// One thread in ops.slow.test.ts.
opTests([
  { threads: 3, relaxed: false },
  { threads: 2, relaxed: true },
]);
