import assert from 'node:assert/strict';
import fc from 'fast-check';
import { layerNorm } from '../../reference/layerNorm.js';
import { ShapeError } from '../../reference/lib/errors.js';
import { tensor } from '../../reference/lib/tensor.js';
import { matrix } from '../support/arbitraries.js';
import { assertClose } from '../support/assertions.js';

const plain = (C: number) => ({ weight: tensor([C], new Float32Array(C).fill(1)), bias: null });

describe('layerNorm', () => {
  it('gives every row mean 0 and variance 1, but for eps', () => {
    fc.assert(
      fc.property(matrix(4, 12), (x) => {
        const [T, C] = x.shape;
        const y = layerNorm(x, plain(C), 1e-5).data;
        for (let t = 0; t < T; t++) {
          const row = x.data.subarray(t * C, (t + 1) * C);
          const mean = row.reduce((sum, value) => sum + value, 0) / C;
          const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C;
          const result = [...y.subarray(t * C, (t + 1) * C)];
          assertClose([result.reduce((sum, value) => sum + value, 0) / C], [0], 1e-6);
          const squares = result.reduce((sum, value) => sum + value ** 2, 0) / C;
          assertClose([squares], [variance / (variance + 1e-5)], 1e-6);
        }
      }),
    );
  });

  it('ignores a shift and a scale of its input', () => {
    // Whole numbers and powers of two, so that shifting and scaling are exact; eps is scaled along with the variance.
    const whole = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(whole, fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -6, max: 6 }), (x, shift, power) => {
        const moved = x.map((value) => (value + shift) * 2 ** power);
        const expected = layerNorm(tensor([1, 8], Float32Array.from(x)), plain(8), 1e-5).data;
        const actual = layerNorm(tensor([1, 8], Float32Array.from(moved)), plain(8), 1e-5 * 4 ** power).data;
        assertClose(actual, expected, 1e-6);
      }),
    );
  });

  it('turns a row of equal values into the bias', () => {
    const bias = Float32Array.of(1, -2, 0.5);
    const norm = { weight: tensor([3], Float32Array.of(3, 3, 3)), bias: tensor([3], bias) };
    assert.deepEqual(layerNorm(tensor([1, 3], Float32Array.of(7, 7, 7)), norm, 1e-5).data, bias);
  });

  it('refuses weights of another width', () => {
    const message = /layerNorm: weight expects \[4\], got \[3\]/;
    assert.throws(() => layerNorm(tensor([2, 4]), plain(3), 1e-5), message);
    const norm = { ...plain(4), bias: tensor([5]) };
    assert.throws(() => layerNorm(tensor([2, 4]), norm, 1e-5), ShapeError);
  });
});
