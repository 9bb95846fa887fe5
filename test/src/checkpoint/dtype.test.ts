import assert from 'node:assert/strict';
import { decodeFloats, type FloatDtype } from '../../../src/checkpoint/dtype.js';

/** Decodes all 65,536 bit patterns of a 16-bit dtype. */
function decodeAll(dtype: FloatDtype): Float32Array {
  const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const target = new Float32Array(65536);
  decodeFloats(new Uint8Array(patterns.buffer), dtype, target);
  return target;
}

/** The value of a bit pattern by the definition of IEEE 754. */
function value(bits: number, exponentBits: number, fractionBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >> (exponentBits + fractionBits) ? -1 : 1;
  const exponent = (bits >> fractionBits) % 2 ** exponentBits;
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * (1 + fraction) * 2 ** (exponent - bias) : sign * fraction * 2 ** (1 - bias);
}

describe('dtype', () => {
  it('decodes every float16', () => {
    decodeAll('F16').forEach((x, bits) => {
      assert.ok(Object.is(x, value(bits, 5, 10)), `0x${bits.toString(16)} gave ${x}`);
    });
  });

  it('decodes every bfloat16', () => {
    decodeAll('BF16').forEach((x, bits) => {
      assert.ok(Object.is(x, value(bits, 8, 7)), `0x${bits.toString(16)} gave ${x}`);
    });
  });

  it('decodes float32 and float64 at any alignment', () => {
    const bytes = new Uint8Array(17);
    new DataView(bytes.buffer).setFloat64(1, Math.PI, true);
    new DataView(bytes.buffer).setFloat64(9, -0, true);
    const wide = new Float64Array(2);
    decodeFloats(bytes.subarray(1), 'F64', wide);
    assert.ok(wide[0] === Math.PI && Object.is(wide[1], -0));
    const narrow = new Float32Array(2);
    decodeFloats(bytes.subarray(1), 'F64', narrow);
    assert.equal(narrow[0], Math.fround(Math.PI));
  });
});
