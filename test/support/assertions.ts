import assert from 'node:assert/strict';
import type { Tensor } from '../../reference/lib/tensor.js';

/** Asserts that two tensors have the same shape and the same bits. */
export function assertSame(actual: Tensor, expected: Tensor, what = 'tensor'): void {
  assert.deepEqual(actual.shape, expected.shape, `${what}: shape`);
  const at = actual.data.findIndex((value, i) => !Object.is(value, expected.data[i]));
  assert.equal(at, -1, `${what}: element ${at} is ${actual.data[at]}, expected ${expected.data[at]}`);
}

/** Asserts that every element is within `bound` of the expected one. */
export function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number): void {
  assert.equal(actual.length, expected.length, 'length');
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    assert.ok(error <= bound, `element ${i} is ${actual[i]}, expected ${expected[i]} within ${bound}`);
  }
}

/** The largest magnitude. */
export function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((maximum, value) => Math.max(maximum, Math.abs(value)), 0);
}
