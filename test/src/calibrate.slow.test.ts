import { recognizesOwnText, recognizesTrained, TRAINED } from '../support/conventions.js';

// The first of each in calibrate.test.ts.
describe('calibrate', () => {
  recognizesOwnText([
    ['half', 'pre'],
    ['half', 'post'],
    ['interleaved', 'pre'],
  ]);
  recognizesTrained(TRAINED.slice(1));
});
