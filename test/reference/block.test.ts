import assert from 'node:assert/strict';
import fc from 'fast-check';
import { add, attention, block, feedForward, layerNorm, linear, rope, ropeTables } from '../../reference/index.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { tensorOf, tinyModel } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

describe('block', () => {
  it('wires its ops as the formulas say, before and after the norms', () => {
    fc.assert(
      fc.property(tensorOf([5, 16]), fc.constantFrom('pre' as const, 'post' as const), (x, normPosition) => {
        const { config, weights } = tinyModel({ normPosition });
        const w = weights.blocks[0];
        const tables = ropeTables(8, config.ropeTheta, 0, 5);
        const turn = (y: Tensor) => rope(y, 2, tables, 'half');
        const attend = (y: Tensor) =>
          linear(attention(turn(linear(y, w.qProj)), turn(linear(y, w.kProj)), linear(y, w.vProj), 2), w.oProj);
        const feed = (y: Tensor) => feedForward(y, w.ffnUp, w.ffnDown, 'none');
        const norm1 = (y: Tensor) => layerNorm(y, w.attnNorm, 1e-5);
        const norm2 = (y: Tensor) => layerNorm(y, w.ffnNorm, 1e-5);

        let expected;
        if (normPosition === 'pre') {
          const middle = add(x, attend(norm1(x)));
          expected = add(middle, feed(norm2(middle)));
        } else {
          const middle = norm1(add(x, attend(x)));
          expected = norm2(add(middle, feed(middle)));
        }
        assertSame(block(x, w, config, tables), expected);
      }),
      { numRuns: 20 },
    );
  });

  it('traces its activations in order', () => {
    const { config, weights } = tinyModel();
    const names: string[] = [];
    const x = fc.sample(tensorOf([3, 16]), 1)[0];
    const trace: Trace = (name) => {
      names.push(name);
    };
    block(x, weights.blocks[0], config, ropeTables(8, 10000, 0, 3), { trace });
    assert.deepEqual(names, [
      ...['attn_norm', 'q', 'k', 'v', 'q_rot', 'k_rot', 'attn', 'attn_out', 'resid_mid'],
      ...['ffn_norm', 'ffn_up', 'ffn_act', 'ffn_out', 'resid'],
    ]);
  });
});
