import assert from 'node:assert/strict';
import fc from 'fast-check';
import { embedding } from '../../reference/embedding.js';
import { InputError } from '../../reference/lib/errors.js';
import { tensor } from '../../reference/lib/tensor.js';
import { matrix } from '../support/arbitraries.js';

describe('embedding', () => {
  it('copies the rows of the ids, bit for bit', () => {
    fc.assert(
      fc.property(matrix(20, 8), fc.array(fc.nat(), { minLength: 1, maxLength: 10 }), (table, numbers) => {
        const [V, E] = table.shape;
        const ids = numbers.map((n) => n % V);
        const y = embedding(ids, table);
        assert.deepEqual(y.shape, [ids.length, E]);
        y.data.forEach((value, i) => {
          assert.ok(Object.is(value, table.data[ids[Math.floor(i / E)] * E + (i % E)]));
        });
      }),
    );
  });

  it('refuses ids outside of the vocabulary', () => {
    for (const id of [-1, 3, 1.5, NaN]) {
      assert.throws(() => embedding([0, id], tensor([3, 2])), InputError);
    }
    assert.throws(() => embedding([0, 3], tensor([3, 2])), /token id 3 at position 1 is outside the vocabulary of 3/);
  });
});
