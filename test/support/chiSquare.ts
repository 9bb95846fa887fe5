import assert from 'node:assert/strict';

/** Upper tail of the chi-square distribution; for even degrees of freedom it is a finite sum. */
export function survival(x: number, degrees: number): number {
  assert.equal(degrees % 2, 0);
  let term = Math.exp(-x / 2);
  let sum = term;
  for (let j = 1; j < degrees / 2; j++) {
    term *= x / 2 / j;
    sum += term;
  }
  return sum;
}
