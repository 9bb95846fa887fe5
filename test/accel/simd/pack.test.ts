import assert from 'node:assert/strict';
import fc from 'fast-check';
import { openPacker } from '../../../accel/simd/pack.js';
import { DTYPES, rowLayout, type CompactDtype } from '../../../reference/lib/compactTensor.js';
import { canHold, packRows, type PackRows } from '../../../reference/lib/pack.js';

const COMPACT = DTYPES.filter((dtype): dtype is CompactDtype => dtype !== 'f32');

/** The codes and scales of rows, or null if `dtype` cannot represent them. */
function packed(pack: PackRows, dtype: CompactDtype, values: Float32Array, K: number): unknown {
  const { bytes, groups } = rowLayout(dtype, K);
  const N = values.length / K;
  const [codes, scales] = [new Uint8Array(N * bytes), new Uint16Array(N * groups)];
  return pack(dtype, values, K, codes, scales) ? { codes, scales } : null;
}

/** Any 32 bits as a float32: numbers of every magnitude, infinities and NaN. */
const anything = fc.integer().map((bits) => new Float32Array(Int32Array.of(bits).buffer)[0]);
/** Weights of similar magnitude; some lie halfway between two codes, some are much smaller than the rest. */
const weights = fc.oneof(
  fc.float({ min: -1, max: 1, noNaN: true }),
  fc.integer({ min: -254, max: 254 }).map((n) => n / 254),
  fc.float({ min: Math.fround(-1e-3), max: Math.fround(1e-3), noNaN: true }),
);

function rowsOf(element: fc.Arbitrary<number>): fc.Arbitrary<{ K: number; values: Float32Array }> {
  return fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 150 }))
    .chain(([N, K]) =>
      fc
        .tuple(
          fc.array(element, { minLength: N * K, maxLength: N * K }),
          fc.constantFrom(1, 1e-42, 1e-38, 1e-6, 3e4, 1e30),
        )
        .map(([values, size]) => ({ K, values: Float32Array.from(values, (value) => value * size) })),
    );
}

describe('packing by SIMD', () => {
  let pack: PackRows;
  before(async () => {
    pack = (await openPacker())!;
  });

  for (const dtype of COMPACT) {
    it(`is bit-identical to reference/lib/pack.ts: ${dtype}`, () => {
      for (const element of [weights, anything]) {
        fc.assert(
          fc.property(rowsOf(element), fc.boolean(), ({ K, values }, all) => {
            // most arbitrary numbers are too large for most formats
            if (!all) values = values.map((value) => (canHold(dtype, Float32Array.of(value)) ? value : 0));
            assert.deepEqual(packed(pack, dtype, values, K), packed(packRows, dtype, values, K));
          }),
          { numRuns: 300 },
        );
      }
    });

    it(`packs more weights than fit in its memory at once: ${dtype}`, () => {
      for (const [N, K] of [
        [3, 700_001],
        [1100, 1001],
      ]) {
        const values = Float32Array.from({ length: N * K }, (_, i) => Math.sin(i * 0.7));
        assert.deepEqual(packed(pack, dtype, values, K), packed(packRows, dtype, values, K));
      }
    });

    it(`reports numbers that it cannot represent: ${dtype}`, () => {
      for (const [value, fits] of [
        [65519, true],
        [65520, dtype !== 'f16'],
        [-Infinity, dtype === 'bf16'],
        [NaN, dtype === 'bf16'],
      ] as const) {
        for (const at of [0, 64, 70]) {
          const values = new Float32Array(2 * 71);
          values[71 + at] = value;
          for (const each of [pack, packRows]) assert.equal(packed(each, dtype, values, 71) !== null, fits, `${value}`);
        }
      }
    });
  }
});
