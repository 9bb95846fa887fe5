import assert from 'node:assert/strict';
import fc from 'fast-check';
import { rope, ropeTables } from '../../reference/rope.js';
import { ShapeError } from '../../reference/lib/errors.js';
import { tensor, type Floats, type Tensor } from '../../reference/lib/tensor.js';
import { tensorOf } from '../support/arbitraries.js';
import { assertClose } from '../support/assertions.js';

const D = 8;
const pairing = fc.constantFrom('half' as const, 'interleaved' as const);
const position = fc.nat({ max: 1000 });

/** One head at one position. */
function at(x: Tensor, p: number, pairs: 'half' | 'interleaved'): Floats {
  return rope(x, 1, ropeTables(D, 10000, p, 1), pairs).data;
}

function dot(a: Floats, b: Floats): number {
  return [...a].reduce((sum, value, i) => sum + value * b[i], 0);
}

describe('rope', () => {
  it('keeps the length of every head', () => {
    fc.assert(
      fc.property(tensorOf([1, D]), position, pairing, (x, p, pairs) => {
        const y = at(x, p, pairs);
        assertClose([Math.sqrt(dot(y, y))], [Math.sqrt(dot(x.data, x.data))], 1e-5);
      }),
    );
  });

  it('composes: turning by p and then by q is turning by p + q', () => {
    fc.assert(
      fc.property(tensorOf([1, D]), position, position, pairing, (x, p, q, pairs) => {
        const twice = at(tensor([1, D], at(x, p, pairs)), q, pairs);
        assertClose(twice, at(x, p + q, pairs), 8 * 3e-4); // float32 angles of up to 2000 radians
      }),
    );
  });

  it('makes q · k depend on the distance alone', () => {
    fc.assert(
      fc.property(
        tensorOf([1, D]),
        tensorOf([1, D]),
        position,
        position,
        fc.nat({ max: 500 }),
        pairing,
        (q, k, p, s, shift, pairs) => {
          const here = dot(at(q, p, pairs), at(k, s, pairs));
          const there = dot(at(q, p + shift, pairs), at(k, s + shift, pairs));
          assertClose([there], [here], 8 * 8 * D * 3e-4);
        },
      ),
    );
  });

  it('leaves position 0 alone', () => {
    fc.assert(
      fc.property(tensorOf([1, D]), pairing, (x, pairs) => {
        assertClose(at(x, 0, pairs), x.data, 0);
      }),
    );
  });

  it('pairs (i, i + D/2) or (2i, 2i + 1)', () => {
    const x = tensor([1, 4], Float32Array.of(1, 0, 0, 0));
    const [cos, sin] = [Math.fround(Math.cos(1)), Math.fround(Math.sin(1))];
    const tables = ropeTables(4, 10000, 1, 1);
    assert.deepEqual([...rope(x, 1, tables, 'half').data], [cos, 0, sin, 0]);
    assert.deepEqual([...rope(x, 1, tables, 'interleaved').data], [cos, sin, 0, 0]);
  });

  it('turns every head by the same angles', () => {
    fc.assert(
      fc.property(tensorOf([1, D]), position, pairing, (x, p, pairs) => {
        const twoHeads = tensor([1, 2 * D], Float32Array.of(...x.data, ...x.data));
        const y = rope(twoHeads, 2, ropeTables(D, 10000, p, 1), pairs).data;
        assert.deepEqual([...y], [...at(x, p, pairs), ...at(x, p, pairs)]);
      }),
    );
  });

  it('refuses tables of another size and heads that do not fit', () => {
    assert.throws(() => rope(tensor([2, D]), 1, ropeTables(D, 10000, 0, 3), 'half'), /tables expect \[2, 4\] angles/);
    assert.throws(() => rope(tensor([2, D]), 3, ropeTables(D, 10000, 0, 2), 'half'), ShapeError);
  });
});
