import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compare, ulpDistance, unravel } from '../../../src/verify/compare.js';

const float = fc.float({ noNaN: true, noDefaultInfinity: true });

describe('compare', () => {
  it('measures what it says', () => {
    const { max, rms, relativeL2, relativeMax, worst, nan } = compare([1, 2, 3, 4.5], [1, 2, 3, 4]);
    assert.deepEqual([max, worst, nan], [0.5, 3, 0]);
    assert.ok(Math.abs(rms - 0.25) < 1e-15);
    assert.ok(Math.abs(relativeL2 - 0.5 / Math.sqrt(30)) < 1e-15);
    assert.ok(Math.abs(relativeMax - 0.5 / Math.sqrt(30 / 4)) < 1e-15);
  });

  it('finds no difference between equal arrays, NaN, infinities and signed zeros included', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1 }), (x) => {
        const same = compare(x, x);
        assert.deepEqual([same.max, same.ulp, same.nan], [0, 0, 0]);
      }),
    );
    assert.equal(compare([0], [-0]).max, 0);
  });

  it('never takes NaN for a number, nor an infinity for another', () => {
    assert.deepEqual([compare([NaN, 1], [2, 1]).max, compare([NaN, 1], [2, 1]).nan], [Infinity, 1]);
    assert.equal(compare([1], [NaN]).max, Infinity);
    assert.equal(compare([Infinity], [-Infinity]).max, Infinity);
    assert.equal(compare([Infinity], [NaN]).max, Infinity);
    assert.equal(compare([1e30], [Infinity]).max, Infinity);
  });

  it('counts float32 numbers between two, over zero too', () => {
    assert.equal(ulpDistance(1, 1 + 2 ** -23), 1);
    assert.equal(ulpDistance(-(2 ** -149), 2 ** -149), 2);
    assert.equal(ulpDistance(0, -0), 0);
    assert.equal(ulpDistance(NaN, 1), Infinity);
    fc.assert(
      fc.property(float, float, float, (a, b, c) => {
        assert.equal(ulpDistance(a, b), ulpDistance(b, a));
        assert.ok(ulpDistance(a, c) <= ulpDistance(a, b) + ulpDistance(b, c));
      }),
    );
  });

  it('gives flat indices as rows and columns', () => {
    assert.deepEqual(unravel(7, [2, 5]), [1, 2]);
    assert.deepEqual(unravel(0, []), []);
  });
});
