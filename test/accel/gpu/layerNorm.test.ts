import assert from 'node:assert/strict';
import * as oracle from '../../../reference/index.js';
import { sizeOf, tensor, type Float32Tensor } from '../../../reference/lib/tensor.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';
import { filled } from '../parity.js';
import { gpuOps } from './ops.js';

const EPS = 1e-12;

onEveryBackend('layerNorm of rows whose mean far exceeds their spread', (backend) => {
  const device = useDevice(backend);

  /** The largest distance from the reference. */
  async function errorOf(x: Float32Tensor): Promise<number> {
    const [, C] = x.shape;
    const weights = { weight: filled([C], 1), bias: filled([C], 2) };
    const y = await gpuOps(device()).layerNorm(x, weights, EPS);
    const expected = oracle.layerNorm(x, weights, EPS);
    return Math.max(...y.data.map((value, i) => Math.abs(value - expected.data[i])));
  }

  it('gives the bias where all elements are equal', async () => {
    for (const [C, value] of [
      [65, 1000.1],
      [1000, 0.1],
      [1023, -77.7],
      [1024, 1e4 / 3],
    ]) {
      // prettier-ignore
      const shape = [2, C];
      const error = await errorOf(tensor(shape, new Float32Array(sizeOf(shape)).fill(value)));
      assert.ok(error < 1e-4, `[2, ${C}] of ${value}: off by ${error}`);
    }
  });

  it('keeps a spread of a few units in the last place', async () => {
    for (const C of [65, 1000]) {
      const error = await errorOf(filled([3, C], C, 2e-3, 1000));
      assert.ok(error < 1e-4, `[3, ${C}]: off by ${error}`);
    }
  });
});
