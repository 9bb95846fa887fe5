import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Candidates } from '../../src/candidates.js';
import { DescendingSort } from '../../src/lib/descendingSort.js';
import { expMinus } from '../../src/lib/expApprox.js';

describe('candidates', () => {
  it('never picks a token without weight, even if rounding uses up no token', () => {
    const scores = fc.array(fc.double({ min: -5, max: 0, noNaN: true }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(scores, (finite) => {
        const candidates = new Candidates(finite.length + 1);
        candidates.scores.set([...finite, -Infinity]);
        candidates.select(Math.max(...finite), 1, 0, 1);
        assert.ok(candidates.pick(1 - 2 ** -53) < finite.length);
        assert.ok(candidates.pick(0) < finite.length);
      }),
    );
  });
});

describe('descendingSort', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true }),
    fc.double({ min: -2, max: 2, noNaN: true }).map(Math.fround),
    fc.integer({ min: -2, max: 2 }),
    fc.constantFrom(0, -0, Infinity, -Infinity, 5e-324, -5e-324),
  );

  it('sorts as a comparison does, equal values by rising id', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 300, size: 'max' }), fc.nat(300), (values, skipped) => {
        const ids = Uint32Array.from(values.keys()).filter((id) => id !== skipped);
        const expected = [...ids].sort((a, b) => (values[a] > values[b] ? -1 : values[a] < values[b] ? 1 : a - b));
        new DescendingSort(Float64Array.from(values)).sort(ids, ids.length);
        assert.deepEqual([...ids], expected);
      }),
      { numRuns: 500 },
    );
  });
});

describe('expApprox', () => {
  it('is e^-x within 1e-11', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 63.99, noNaN: true }), (x) => {
        assert.ok(Math.abs(expMinus(x) / Math.exp(-x) - 1) < 1e-11);
      }),
      { numRuns: 5000 },
    );
    assert.deepEqual([0, 64, 1e300, Infinity].map(expMinus), [1, 0, 0, 0]);
  });
});
