import { opTests } from './opTests.js';

opTests(['cpu']);
