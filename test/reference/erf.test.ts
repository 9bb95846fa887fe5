import assert from 'node:assert/strict';
import fc from 'fast-check';
import { erf, erfc } from '../../reference/erf.js';

const any = fc.double({ min: -30, max: 30, noNaN: true });

describe('erf', () => {
  it('is odd, rises, and stays within [-1, 1]', () => {
    fc.assert(
      fc.property(any, any, (a, b) => {
        assert.equal(erf(-a), -erf(a));
        assert.ok(Math.abs(erf(a)) <= 1);
        if (a < b) assert.ok(erf(a) <= erf(b) + 1e-15);
      }),
    );
  });

  it('and erfc add up to 1', () => {
    fc.assert(
      fc.property(any, (x) => {
        assert.ok(Math.abs(erf(x) + erfc(x) - 1) <= 2 ** -52);
      }),
    );
  });

  it('takes the special values', () => {
    assert.ok(Object.is(erf(-0), -0) && Object.is(erf(0), 0));
    assert.deepEqual([erf(Infinity), erf(-Infinity), erfc(Infinity), erfc(-Infinity)], [1, -1, 0, 2]);
    assert.ok(Number.isNaN(erf(NaN)) && Number.isNaN(erfc(NaN)));
    assert.ok(erf(5e-324) > 0);
  });
});
