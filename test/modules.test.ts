import assert from 'node:assert/strict';
import { CompactTensor } from '../reference/lib/compactTensor.js';

describe('the modules under test', () => {
  it('are there once, however they are imported', async () => {
    // a loader that turns some into CommonJS would have `instanceof` compare two classes of one name
    const again = await import('../reference/lib/compactTensor.js');
    assert.equal(again.CompactTensor, CompactTensor);
  });
});
