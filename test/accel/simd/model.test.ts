import assert from 'node:assert/strict';
import { forward } from '../../../reference/index.js';
import { openBackend } from '../../../src/backend.js';
import { floatModel } from '../../../src/checkpoint/assemble.js';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { DTYPES, type CompactDtype } from '../../../reference/lib/compactTensor.js';
import { demoFolder } from '../../../src/load.js';
import { tensor, type Tensor } from '../../../reference/lib/tensor.js';
import { printTable, readFixture, relativeDistance } from '../../support/golden.js';
import { modelTests } from '../models.js';

describe('whole models on SIMD against PyTorch', () => {
  modelTests('simd');
});

describe('the demo in fewer bits on SIMD against the reference with the same weights', () => {
  const { prompts } = readFixture('demo/inputs.json') as { prompts: { tokens: number[] }[] };
  const ids = prompts.flatMap(({ tokens }) => tokens).slice(0, 77); // not a multiple of the kernels' tiles
  /** Covers float32 rounding and tokens as 16-bit integers; about four times the largest distance seen. */
  const BOUNDS: Record<CompactDtype, number> = { bf16: 4e-6, f16: 4e-6, int8: 1e-4, int4: 1e-4 };
  const report = [['dtype', 'at once', 'token by token', 'bound']];

  for (const dtype of DTYPES) {
    if (dtype === 'f32') continue;
    it(dtype, async () => {
      const { model } = await loadModel(demoFolder(), { dtype });
      const expected = forward(ids, floatModel(model));
      const backend = await openBackend(model, 'simd');
      const session = backend.openSession();
      const atOnce = await session.forward(ids, { logits: 'all' });
      session.reset();
      const each: Tensor[] = [];
      for (const id of ids) each.push(await session.forward([id]));
      await backend.dispose();
      const singly = tensor(expected.shape, Float32Array.from(each.flatMap(({ data }) => [...data])));
      const distances = [atOnce, singly].map(({ data }) => relativeDistance(data, Float64Array.from(expected.data)));
      report.push([dtype, ...distances.map((it) => it.toExponential(1)), String(BOUNDS[dtype])]);
      for (const distance of distances) assert.ok(distance <= BOUNDS[dtype], `${distance}`);
    });
  }
  after(() => {
    console.log('\n      relative L2 distance of all logits');
    printTable(report);
  });
});
