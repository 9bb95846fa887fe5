import assert from 'node:assert/strict';
import { ShapeError } from '../../../reference/lib/errors.js';
import { matrix, tensor, vector } from '../../../reference/lib/tensor.js';

describe('tensor', () => {
  it('matrix lays rows one after the other, vector has one dimension', () => {
    assert.deepEqual(matrix([[1, 2, 3], [4, 5, 6]]), { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }); // prettier-ignore
    assert.deepEqual(matrix([]), { data: new Float32Array(0), shape: [0, 0] });
    assert.deepEqual(vector([1, 2]), { data: Float32Array.of(1, 2), shape: [2] });
  });

  it('matrix refuses rows of different lengths, even if their sum fits', () => {
    assert.throws(
      () => matrix([[1, 2], [3], [4, 5, 6]]),
      new ShapeError('matrix: row 1 has 1 elements, but row 0 has 2'),
    );
  });

  it('refuses data that does not fill the shape', () => {
    const message = /tensor: shape \[2, 3\] holds 6 elements, data has 5/;
    assert.throws(() => tensor([2, 3], new Float32Array(5)), message);
  });
});
