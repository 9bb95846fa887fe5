import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { activationNames } from '../../reference/lib/trace.js';
import { PRESETS } from '../../src/checkpoint/config.js';
import { run } from '../support/cli.js';
import { printTable } from '../support/golden.js';
import type { Result } from './child.js';

const folder = fileURLToPath(new URL('../../golden/full/', import.meta.url));
const child = fileURLToPath(new URL('child.ts', import.meta.url));

interface Run {
  backend: string;
  preset: string;
  /** How far its logits may be from the truth, as a multiple of PyTorch float32's distance. */
  times: number;
  /** What memory it may take at most. */
  limitGb: number;
}

const presets = readdirSync(folder).map((file) => file.replace('.safetensors', ''));

const RUNS: Run[] = [
  ...presets.map((preset) => ({ backend: 'reference', preset, times: 1, limitGb: 2.5 })),
  // a double rounds 5e8 times as finely as a float: seen 1.0e-8
  ...presets.map((preset) => ({ backend: 'float64', preset, times: 5e-8, limitGb: 2.5 })),
  // float32 sums like PyTorch's, but in another order: seen 1.01
  { backend: 'gpu:webasm', preset: 'model_64_float', times: 1.5, limitGb: 5 },
  // eight float32 sums side by side, in two instructions a product: seen 1.62
  { backend: 'simd', preset: 'model_64_float', times: 2.5, limitGb: 4 },
];

/** Each in a process of its own, so that the peak of memory is that of one model. */
describe('models of full size, against PyTorch float64', () => {
  const table = [['', 'backend', 'distance', 'PyTorch float32', 'of bound', 'at', 'seconds', 'peak GB']];

  for (const { backend, preset, times, limitGb } of RUNS) {
    it(`${preset} on ${backend}`, async () => {
      const golden = `${folder}${preset}.safetensors`;
      const { code, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', child, golden, backend]);
      assert.equal(code, 0, stderr);
      const result = JSON.parse(stdout) as Result;
      assert.ok(result.ok, result.summary);
      assert.equal(result.activations, activationNames(PRESETS[preset], true).length);
      assert.ok(
        result.distance < times * result.pytorch,
        `${result.distance} from the truth, PyTorch ${result.pytorch}`,
      );
      assert.ok(result.peak_gb < limitGb, `${result.peak_gb} GB`);
      table.push([
        ...[preset, backend, result.distance.toExponential(2), result.pytorch.toExponential(2)],
        ...[`${(100 * result.share).toFixed(0)} %`, result.shareIn],
        ...[(result.making_s + result.running_s).toFixed(1), result.peak_gb.toFixed(2)],
      ]);
    });
  }
  after(() => {
    printTable(table);
  });
});
