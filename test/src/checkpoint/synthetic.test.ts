import assert from 'node:assert/strict';
import { syntheticModel, syntheticTensors } from '../../../src/checkpoint/synthetic.js';
import { PRESETS } from '../../../src/checkpoint/config.js';
import { TINY } from '../../support/arbitraries.js';

describe('synthetic', () => {
  it('makes the same bits every time, and different bits for another seed or name', () => {
    const a = syntheticModel(TINY, 1);
    const b = syntheticModel(TINY, 1);
    assert.deepEqual(a, b);
    assert.notDeepEqual(a.weights.lmHead, syntheticModel(TINY, 2).weights.lmHead);
    assert.notDeepEqual(a.weights.blocks[0].qProj, a.weights.blocks[0].kProj);
    assert.notDeepEqual(a.weights.blocks[0].qProj, a.weights.blocks[1].qProj);
  });

  it('distributes weights uniformly over the range', () => {
    const [table] = syntheticTensors(PRESETS.model_16_float, 1);
    const data = table.make() as Float32Array;
    const limit = Math.fround(2 / Math.sqrt(16));
    const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
    const variance = data.reduce((sum, x) => sum + x * x, 0) / data.length;
    assert.ok(data.every((x) => x >= -limit && x < limit));
    assert.ok(Math.abs(mean) < 4 * limit * Math.sqrt(1 / 3 / data.length));
    assert.ok(Math.abs(variance / (limit ** 2 / 3) - 1) < 0.01);
  });

  it('makes an embedding of bits for the bit models', () => {
    const [table] = syntheticTensors({ ...TINY, modelType: 'model_64_bit' }, 1);
    assert.deepEqual([...new Set(table.make())].sort(), [0, 1]);
  });

  it('has as many parameters as the published model', () => {
    const count = syntheticTensors(PRESETS.model_64_float, 1).reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
    assert.equal(count, 272_844_800);
  });
});
