import assert from 'node:assert/strict';
import { forward, KvCache } from '../../reference/index.js';
import type { Floats } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { compare } from '../../src/verify/compare.js';
import { fixture, manifest, printTable, readFixture, readTruth } from '../support/golden.js';

/**
 * How far any activation may be from PyTorch float64: max |a − truth| / rms(truth). Seen: 1.8e-14, where values cancel after
 * huge inputs (`outliers`). One activation rounded to float32 is off by 6e-8.
 */
const BOUND = 1e-13;

describe('golden models in float64', () => {
  const table = [['largest error / rms', 'all activations', 'at', 'logits']];
  after(() => {
    printTable(table);
  });

  for (const name of Object.keys(manifest.models)) {
    it(`${name} is as near to PyTorch float64 as float64 goes`, async () => {
      const { model } = await loadModel(fixture(`models/${name}`));
      const { tokens } = readFixture(`models/${name}/inputs.json`) as { tokens: number[] };
      const truth = await readTruth(`models/${name}/truth.safetensors`);
      const ours = new Map<string, Floats>();
      forward(tokens, model, {
        precision: 'float64',
        attnWeights: true,
        trace: (key, { data }) => void ours.set(key, data),
      });
      const errors = [...truth].map(([key, data]) => ({ key, error: compare(ours.get(key)!, data).relativeMax }));
      const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
      const logits = errors.find(({ key }) => key === 'logits')!.error;
      table.push([name, worst.error.toExponential(2), worst.key, logits.toExponential(2)]);
      assert.ok(worst.error <= BOUND, `${worst.key}: ${worst.error} of the rms`);
    });
  }

  it('holds a cache in float64: token by token gives the same bits as the whole pass', async () => {
    const { model } = await loadModel(fixture('models/tanh'));
    const { tokens } = readFixture('models/tanh/inputs.json') as { tokens: number[] };
    const whole = forward(tokens, model, { precision: 'float64' });
    const cache = new KvCache(model.config);
    const singly = tokens.flatMap((id) => [...forward([id], model, { precision: 'float64', cache }).data]);
    assert.ok(whole.data instanceof Float64Array);
    assert.deepEqual(singly, [...whole.data]);
  });

  it('keeps every activation in the chosen format', async () => {
    const { model } = await loadModel(fixture('models/tanh'));
    for (const [precision, Format] of [
      ['float32', Float32Array],
      ['float64', Float64Array],
    ] as const) {
      let count = 0;
      const trace: Trace = (name, { data }) => {
        count++;
        assert.ok(data instanceof Format, `${name} in ${precision}`);
      };
      forward([1, 2, 3], model, { precision, attnWeights: true, trace });
      assert.ok(count > 20);
    }
  });
});
