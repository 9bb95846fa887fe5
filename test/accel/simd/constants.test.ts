import assert from 'node:assert/strict';
import * as constants from '../../../accel/simd/constants.js';
import { DTYPES, GROUP } from '../../../reference/lib/compactTensor.js';

describe('constants of the kernels', () => {
  it('number the dtypes in the order of the reference', () => {
    const { F32, BF16, F16, INT8, INT4 } = constants;
    assert.deepEqual(
      DTYPES.map((dtype) => ({ f32: F32, bf16: BF16, f16: F16, int8: INT8, int4: INT4 })[dtype]),
      [...DTYPES.keys()],
    );
  });

  it('have the groups of the reference', () => {
    assert.deepEqual(GROUP, { int8: constants.INT8_GROUP, int4: constants.INT4_GROUP });
  });

  it('give every op and every shared word a number of its own', () => {
    for (const prefix of ['OP_', 'SHARED_']) {
      const names = Object.keys(constants).filter((name) => name.startsWith(prefix) && name !== 'SHARED_WORDS');
      const numbers = names.map((name) => constants[name as keyof typeof constants]);
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        [...numbers.keys()],
      );
    }
  });

  it('leave room in a record for the op, ten arguments and the counter', () => {
    assert.equal(constants.RECORD_WORDS, 1 + 10 + 1);
    const ops = Object.entries(constants).filter(([name]) => name.startsWith('OP_'));
    assert.ok(ops.every(([, op]) => op < constants.NO_BARRIER));
  });
});
