import assert from 'node:assert/strict';
import fc from 'fast-check';
import { attention } from '../../reference/attention.js';
import { ShapeError } from '../../reference/lib/errors.js';
import { rows, tensor, type Tensor } from '../../reference/lib/tensor.js';
import { tensorOf } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

const H = 2;
const C = 6;
const sequence = fc
  .integer({ min: 1, max: 7 })
  .chain((T) => fc.tuple(tensorOf([T, C]), tensorOf([T, C]), tensorOf([T, C])));

describe('attention', () => {
  it('cannot see the future: earlier rows stay bit-identical when later keys and values change', () => {
    fc.assert(
      fc.property(sequence, fc.nat(), ([q, k, v], n) => {
        const T = q.shape[0];
        const t = n % T;
        const spoil = (x: Tensor) =>
          tensor(
            x.shape,
            x.data.map((value, i) => (i >= (t + 1) * C ? value * -3 + 1 : value)),
          );
        const before = attention(q, k, v, H);
        const after = attention(q, spoil(k), spoil(v), H);
        assertSame(rows(after, 0, t + 1), rows(before, 0, t + 1));
      }),
    );
  });

  it('hands out the weights it applied, and computes the same bits without them', () => {
    fc.assert(
      fc.property(sequence, fc.nat(), ([q, k, v], n) => {
        const S = q.shape[0];
        const last = rows(q, n % S, S); // [T, C]
        const T = last.shape[0];
        const weights = tensor([H, T, S]);
        const y = attention(last, k, v, H, weights);
        assertSame(y, attention(last, k, v, H));
        y.data.forEach((value, i) => {
          const [t, c] = [Math.floor(i / C), i % C];
          const row = (Math.floor(c / (C / H)) * T + t) * S;
          let sum = 0;
          let size = 0;
          for (let s = 0; s < S; s++) {
            if (s > S - T + t) assert.equal(weights.data[row + s], 0);
            sum += weights.data[row + s] * v.data[s * C + c];
            size += Math.abs(weights.data[row + s] * v.data[s * C + c]);
          }
          assert.ok(Math.abs(sum - value) <= 1e-6 * size + 1e-40, `${sum} and ${value}`);
        });
      }),
    );
    const x = tensor([2, C]);
    assert.throws(() => attention(x, x, x, H, tensor([H, 2, 3])), ShapeError);
  });

  it('stays within the range of the values it may see', () => {
    fc.assert(
      fc.property(sequence, ([q, k, v]) => {
        const y = attention(q, k, v, H);
        y.data.forEach((value, i) => {
          const [t, c] = [Math.floor(i / C), i % C];
          const seen = Array.from({ length: t + 1 }, (_, s) => v.data[s * C + c]);
          assert.ok(value >= Math.min(...seen) - 1e-5 && value <= Math.max(...seen) + 1e-5);
        });
      }),
    );
  });

  it('gives the last queries alone what it gives them among all', () => {
    fc.assert(
      fc.property(sequence, fc.nat(), ([q, k, v], n) => {
        const T = q.shape[0];
        const first = n % T;
        assertSame(attention(rows(q, first, T), k, v, H), rows(attention(q, k, v, H), first, T));
      }),
    );
  });

  it('keeps heads apart: another head changes nothing', () => {
    fc.assert(
      fc.property(sequence, ([q, k, v]) => {
        const changed = tensor(
          q.shape,
          q.data.map((value, i) => (i % C < C / H ? value : -value)),
        );
        const [before, after] = [attention(q, k, v, H).data, attention(changed, k, v, H).data];
        before.forEach((value, i) => {
          if (i % C < C / H) assert.ok(Object.is(after[i], value));
        });
      }),
    );
  });

  it('returns the value itself for a single token', () => {
    const v = tensor([1, C], Float32Array.of(1, 2, 3, 4, 5, 6));
    assertSame(attention(tensor([1, C]), tensor([1, C]), v, H), v);
  });

  it('refuses shapes that do not fit', () => {
    const x = tensor([3, C]);
    assert.throws(() => attention(x, tensor([3, 4]), x, H), /attention: k expects \[rows, 6\], got \[3, 4\]/);
    assert.throws(() => attention(x, tensor([4, C]), x, H), ShapeError);
    assert.throws(() => attention(x, tensor([2, C]), tensor([2, C]), H), /only 2 keys/);
    assert.throws(() => attention(x, x, x, 4), ShapeError);
  });
});
