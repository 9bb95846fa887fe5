import assert from 'node:assert/strict';
import fc from 'fast-check';
import { linear } from '../../reference/linear.js';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import { matrix, tensorOf } from '../support/arbitraries.js';
import { assertClose, assertSame } from '../support/assertions.js';

/** The formula, element by element: what `linear` computes four outputs at a time. */
function oneByOne(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const [T, K] = x.shape;
  const [N] = weight.shape;
  const y = tensor([T, N]);
  for (let t = 0; t < T; t++) {
    for (let o = 0; o < N; o++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x.data[t * K + k] * weight.data[o * K + k];
      y.data[t * N + o] = sum + (bias ? bias.data[o] : 0);
    }
  }
  return y;
}

const problem = matrix(5, 12).chain((x) =>
  fc
    .integer({ min: 1, max: 13 })
    .chain((N) => fc.record({ x: fc.constant(x), weight: tensorOf([N, x.shape[1]]), bias: fc.option(tensorOf([N])) })),
);

describe('linear', () => {
  it('is the sum of products, bit for bit, for any number of outputs', () => {
    fc.assert(
      fc.property(problem, ({ x, weight, bias }) => {
        assertSame(linear(x, { weight, bias }), oneByOne(x, weight, bias));
      }),
    );
  });

  it('is linear', () => {
    fc.assert(
      fc.property(tensorOf([3, 8]), tensorOf([3, 8]), tensorOf([5, 8]), (a, b, weight) => {
        const layer = { weight, bias: null };
        const sum = tensor(
          a.shape,
          a.data.map((value, i) => value + 2 * b.data[i]),
        );
        const [ya, yb] = [linear(a, layer).data, linear(b, layer).data];
        const expected = ya.map((value, i) => value + 2 * yb[i]);
        assertClose(linear(sum, layer).data, expected, 1e-3); // sums of 8 products of up to 24 · 8, in float32
      }),
    );
  });

  it('refuses a weight of another width', () => {
    const layer = { weight: tensor([2, 1024]), bias: null };
    const message = /linear: weight expects 1000 columns, as x is \[4, 1000\]; got \[2, 1024\]/;
    assert.throws(() => linear(tensor([4, 1000]), layer), message);
    const biased = { weight: tensor([2, 3]), bias: tensor([3]) };
    assert.throws(() => linear(tensor([4, 3]), biased), /linear: bias expects \[2\], got \[3\]/);
  });
});
