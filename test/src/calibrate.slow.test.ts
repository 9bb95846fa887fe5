import { recognizesTrained, TRAINED } from '../support/conventions.js';

recognizesTrained(TRAINED.slice(1)); // the first in calibrate.test.ts
