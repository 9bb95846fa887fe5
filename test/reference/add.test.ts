import assert from 'node:assert/strict';
import fc from 'fast-check';
import { add } from '../../reference/add.js';
import { tensor } from '../../reference/lib/tensor.js';
import { tensorOf } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

describe('add', () => {
  it('is the float32 sum, whichever comes first', () => {
    fc.assert(
      fc.property(tensorOf([2, 5], 1e30), tensorOf([2, 5], 1e30), (a, b) => {
        const y = add(a, b);
        y.data.forEach((value, i) => {
          assert.equal(value, Math.fround(a.data[i] + b.data[i]));
        });
        assertSame(add(b, a), y);
      }),
    );
  });

  it('broadcasts nothing', () => {
    assert.throws(() => add(tensor([2, 3]), tensor([3])), /add: a is \[2, 3\] but b is \[3\]/);
  });
});
