import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { activationNames } from '../../src/trace.js';
import { PRESETS } from '../../src/config.js';
import { run } from '../support/cli.js';
import { printTable } from '../support/golden.js';
import type { Result } from './child.js';

const folder = fileURLToPath(new URL('../../golden/full/', import.meta.url));
const child = fileURLToPath(new URL('child.ts', import.meta.url));
const PEAK_GB = 2.5;

/** Each preset in a process of its own, so that the peak of memory is that of one model. */
describe('the reference at full size, against PyTorch float64', () => {
  const presets = readdirSync(folder).map((name) => name.replace('.safetensors', ''));
  const table = [['', 'reference', 'PyTorch float32', 'of bound', 'at', 'seconds', 'peak GB']];

  for (const preset of presets) {
    it(preset, async () => {
      const { code, stdout, stderr } = await run(process.execPath, [
        '--import',
        'tsx',
        child,
        `${folder}${preset}.safetensors`,
      ]);
      assert.equal(code, 0, stderr);
      const result = JSON.parse(stdout) as Result;
      assert.ok(result.ok, result.summary);
      assert.equal(result.activations, activationNames(PRESETS[preset], true).length);
      assert.ok(result.distance < result.pytorch, `${result.distance} from the truth, PyTorch ${result.pytorch}`);
      assert.ok(result.peak_gb < PEAK_GB, `${result.peak_gb} GB`);
      table.push([
        ...[preset, result.distance.toExponential(2), result.pytorch.toExponential(2)],
        ...[`${(100 * result.share).toFixed(0)} %`, result.shareIn],
        ...[(result.making_s + result.running_s).toFixed(1), result.peak_gb.toFixed(2)],
      ]);
    });
  }
  after(() => {
    printTable(table);
  });
});
