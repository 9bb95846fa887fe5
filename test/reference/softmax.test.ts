import assert from 'node:assert/strict';
import fc from 'fast-check';
import { softmax } from '../../reference/softmax.js';
import { tensor } from '../../reference/lib/tensor.js';
import { float32, matrix } from '../support/arbitraries.js';
import { assertClose } from '../support/assertions.js';

describe('softmax', () => {
  it('gives rows of weights in [0, 1] that sum to 1', () => {
    fc.assert(
      fc.property(matrix(4, 20, 100), (x) => {
        const y = softmax(x);
        const [T, n] = x.shape;
        for (let t = 0; t < T; t++) {
          const row = [...y.data.subarray(t * n, (t + 1) * n)];
          assert.ok(row.every((value) => value >= 0 && value <= 1));
          assertClose([row.reduce((sum, value) => sum + value, 0)], [1], 1e-6);
        }
      }),
    );
  });

  it('ignores a shift of all scores', () => {
    fc.assert(
      fc.property(matrix(2, 10), float32(1000), (x, shift) => {
        const shifted = tensor(
          x.shape,
          x.data.map((value) => value + shift),
        );
        assertClose(softmax(shifted).data, softmax(x).data, 2e-4); // the shifted scores were rounded to an ULP of 1008
      }),
    );
  });

  it('keeps the order of the scores and gives the masked ones exactly nothing', () => {
    const y = softmax(tensor([1, 4], Float32Array.of(1, -Infinity, 3, 2))).data;
    assert.equal(y[1], 0);
    assert.ok(y[2] > y[3] && y[3] > y[0]);
  });

  it('survives scores that would overflow', () => {
    assert.deepEqual([...softmax(tensor([1, 2], Float32Array.of(3e38, 3e38))).data], [0.5, 0.5]);
  });
});
