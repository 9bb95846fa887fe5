import assert from 'node:assert/strict';
import fc from 'fast-check';
import { feedForward } from '../../reference/feedForward.js';
import { gelu } from '../../reference/gelu.js';
import { linear } from '../../reference/linear.js';
import { tensor } from '../../reference/lib/tensor.js';
import { tensorOf } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

describe('feedForward', () => {
  it('treats every token by itself', () => {
    fc.assert(
      fc.property(tensorOf([2, 4]), tensorOf([16, 4], 1), tensorOf([4, 16], 1), (x, up, down) => {
        const [raise, lower] = [
          { weight: up, bias: null },
          { weight: down, bias: null },
        ];
        const both = feedForward(x, raise, lower, 'none');
        const swapped = tensor([2, 4], Float32Array.of(...x.data.subarray(4), ...x.data.subarray(0, 4)));
        const y = feedForward(swapped, raise, lower, 'none').data;
        assert.deepEqual([...y.subarray(4), ...y.subarray(0, 4)], [...both.data]);
        assertSame(both, linear(gelu(linear(x, raise), 'none'), lower));
      }),
    );
  });
});
