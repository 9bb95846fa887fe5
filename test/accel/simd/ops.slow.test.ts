import { opTests } from './opTests.js';

opTests([{ threads: 1, relaxed: false }]);
