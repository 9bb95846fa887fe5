import assert from 'node:assert/strict';
import fc from 'fast-check';
import { gelu } from '../../reference/gelu.js';
import { tensor } from '../../reference/lib/tensor.js';
import { float32 } from '../support/arbitraries.js';

const form = fc.constantFrom('none' as const, 'tanh' as const);

function at(x: number, approximate: 'none' | 'tanh'): number {
  return gelu(tensor([1], Float32Array.of(x)), approximate).data[0];
}

describe('gelu', () => {
  it('satisfies gelu(x) - gelu(-x) = x', () => {
    fc.assert(
      fc.property(float32(20), form, (x, approximate) => {
        const rounding = Math.abs(x) * 2 ** -23 + 2 ** -149; // a float32's, down to the denormal ones
        assert.ok(Math.abs(at(x, approximate) - at(-x, approximate) - x) <= rounding);
      }),
    );
  });

  it('has two forms that are 4.7e-4 apart and no more', () => {
    let apart = 0;
    for (let x = -6; x <= 6; x += 0.001) apart = Math.max(apart, Math.abs(at(x, 'none') - at(x, 'tanh')));
    assert.ok(apart > 4.6e-4 && apart < 4.8e-4, `${apart}`);
  });

  it('keeps signed zeros and infinities', () => {
    for (const approximate of ['none', 'tanh'] as const) {
      assert.ok(Object.is(at(0, approximate), 0));
      assert.ok(Object.is(at(-0, approximate), -0));
      assert.equal(at(Infinity, approximate), Infinity);
    }
  });
});
