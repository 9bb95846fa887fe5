import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoFolder } from '../../../src/load.js';
import { emergent, run } from '../../support/cli.js';
import { skip } from '../../support/setup.js';

const python = fileURLToPath(new URL('../../../golden/.venv/bin/python', import.meta.url));
const SAVE = `
import sys, torch
from safetensors.torch import load_file
torch.save(load_file(sys.argv[1]), sys.argv[2])
`;

describe('emergent import of the demo', () => {
  it('gives the same logits, byte by byte, as the original that PyTorch saved', async function () {
    if (!existsSync(python)) skip(this, 'needs PyTorch in golden/.venv');
    const folder = await mkdtemp(join(tmpdir(), 'emergent-import-'));
    try {
      const from = join(folder, 'from');
      const out = join(folder, 'out');
      await cp(demoFolder(), from, { recursive: true });
      const saved = await run(python, ['-c', SAVE, join(from, 'model.safetensors'), join(from, 'pytorch_model.bin')]);
      assert.equal(saved.code, 0, saved.stderr);
      const imported = await emergent(['import', join(from, 'pytorch_model.bin'), '--out', out]);
      assert.equal(imported.code, 0, imported.stderr);
      const [ours, theirs] = await Promise.all(
        [out, demoFolder()].map(async (model, n) => {
          const file = join(folder, `${n}.safetensors`);
          const options = ['--backend', 'reference', '--tokens', '1,2,3,4', '--out', file];
          const { code, stderr } = await emergent(['logits', '--model', model, ...options]);
          assert.equal(code, 0, stderr);
          return readFile(file);
        }),
      );
      assert.ok(ours.equals(theirs));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
