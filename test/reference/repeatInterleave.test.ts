import assert from 'node:assert/strict';
import fc from 'fast-check';
import { repeatInterleave } from '../../reference/repeatInterleave.js';
import { ShapeError } from '../../reference/lib/errors.js';
import { tensor } from '../../reference/lib/tensor.js';
import { matrix } from '../support/arbitraries.js';

describe('repeatInterleave', () => {
  it('follows its index formula, bit for bit', () => {
    fc.assert(
      fc.property(matrix(), fc.integer({ min: 1, max: 16 }), (x, repeats) => {
        const y = repeatInterleave(x, repeats);
        const [T, E] = x.shape;
        const C = E * repeats;
        assert.deepEqual(y.shape, [T, C]);
        for (let t = 0; t < T; t++) {
          for (let c = 0; c < C; c++) {
            assert.ok(Object.is(y.data[t * C + c], x.data[t * E + Math.floor(c / repeats)]));
          }
        }
      }),
    );
  });

  it('repeats elements and not rows', () => {
    const y = repeatInterleave(tensor([1, 2], Float32Array.of(3, 5)), 3);
    assert.deepEqual([...y.data], [3, 3, 3, 5, 5, 5]);
  });

  it('refuses a number of repeats that is no positive integer', () => {
    for (const repeats of [0, -1, 1.5, NaN]) assert.throws(() => repeatInterleave(tensor([1, 2]), repeats), ShapeError);
  });
});
