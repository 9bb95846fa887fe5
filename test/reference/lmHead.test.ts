import fc from 'fast-check';
import { linear } from '../../reference/linear.js';
import { lmHead } from '../../reference/lmHead.js';
import { tensorOf } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

describe('lmHead', () => {
  it('is a linear layer of its own', () => {
    fc.assert(
      fc.property(tensorOf([2, 4]), tensorOf([9, 4]), tensorOf([9]), (x, weight, bias) => {
        assertSame(lmHead(x, { weight, bias }), linear(x, { weight, bias }));
      }),
    );
  });
});
