import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAffineMap, parseComputedCodes } from '../../../src/checkpoint/computedTable.js';
import { PRESETS, TABLE_FREE_PRESETS } from '../../../src/checkpoint/config.js';
import { inspectModel, loadModel } from '../../../src/checkpoint/loadModel.js';
import { openSafetensors, writeSafetensors, type WritableTensor } from '../../../src/checkpoint/safetensors.js';
import { sampleTable } from '../../../src/checkpoint/tableSample.js';
import { makeCodes } from '../../../src/codes/makeCodes.js';
import { fixture } from '../../support/golden.js';

describe('computed codes', () => {
  const CONFIG = { ...PRESETS.model_64_float, vocabSize: 16, nEmbed: 4 };
  const AFFINE = { kind: 'affine', matrix: ['1101', '0110', '0011', '1100'], offset: '1011' };

  it('are listed as assumed, and the model has no table', async () => {
    const report = await inspectModel(fixture('models/affine_code'));
    assert.equal(report.table, null);
    assert.equal(report.computedCodes, 'affine');
    assert.equal(report.parameters.embedding, 0);
    assert.match(report.assumptions.join('\n'), /the file has no table: affine codes .*\n.*repeated in place/);
  });

  it('are those of A bin(t) xor b', async () => {
    const { model } = await loadModel(fixture('models/affine_code'));
    // By hand. 0: b. 1: b and the first column of A, 1001. 2: b and the second, 1101.
    const { data } = model.weights.embedding;
    assert.deepEqual([...data.subarray(0, 12)], [1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0]);
  });

  it('yield to a table in the file, with a warning', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    try {
      const file = await openSafetensors(fixture('models/affine_code/model.safetensors'));
      const tensors: Record<string, WritableTensor> = {};
      for (const name of file.tensors.keys()) tensors[name] = await file.readFloat32(name);
      await file.close();
      const table = { data: Float32Array.from({ length: 64 }, (_, i) => i), shape: [16, 4] };
      await writeSafetensors(join(folder, 'model.safetensors'), { ...tensors, 'token_embeddings.weight': table });
      await copyFile(fixture('models/affine_code/config.json'), join(folder, 'config.json'));
      const { model, report } = await loadModel(folder);
      assert.equal(model.weights.embedding.data[5], 5);
      assert.match(report.warnings.join(), /the file has a table/);

      // Without the key and without a table, the table is missed as before.
      await writeSafetensors(join(folder, 'model.safetensors'), tensors);
      const { codes, ...config } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as {
        codes: unknown;
      };
      assert.ok(codes);
      await writeFile(join(folder, 'config.json'), JSON.stringify(config));
      await assert.rejects(loadModel(folder), /nothing found for token_embeddings\.weight \[16, 4\]/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('are refused when two tokens would share a code, or the map has the wrong form', () => {
    const cases: [unknown, RegExp][] = [
      [{ kind: 'glyph' }, /codes\.kind must be binary or affine, got "glyph"/],
      [{ ...AFFINE, matrix: ['1101', '0110', '0011'] }, /codes\.matrix must be a list of 4 rows/],
      [{ ...AFFINE, matrix: ['1101', '0110', '0011', '1000'] }, /codes\.matrix has rank 3 over GF\(2\), not 4/],
      [{ ...AFFINE, matrix: ['1101', '0110', '0011', '10'] }, /codes\.matrix\[3\] must be a string of 4 characters/],
      [{ ...AFFINE, offset: '1012' }, /codes\.offset must be a string of 4 characters 0 and 1, got "1012"/],
      ['affine', /"codes" must be an object with kind, got "affine"/],
    ];
    for (const [codes, message] of cases) {
      assert.throws(() => parseComputedCodes({ codes }, CONFIG, 'config.json'), { name: 'ConfigError', message });
    }
    assert.throws(
      () => parseComputedCodes({ codes: { kind: 'binary' } }, { ...CONFIG, vocabSize: 17 }, 'config.json'),
      /n_embed 4 is fewer than the 5 bits that 17 tokens need/,
    );
  });

  it('read back as they are written', async () => {
    const { affine } = await makeCodes({ kind: 'affine', vocabSize: 16, nEmbed: 4 });
    const parsed = parseComputedCodes({ codes: formatAffineMap(affine!) }, CONFIG, 'config.json');
    assert.deepEqual(parsed, { kind: 'affine', map: affine });
    assert.ok(TABLE_FREE_PRESETS.every((name) => name in PRESETS));
  });
});

describe('sampleTable', () => {
  it('judges a large table by some rows, and says so', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    try {
      for (const [kind, seen] of [
        ['affine', 'affine'],
        ['bit', 'bits'],
        ['binary', 'index'],
        ['float', 'floats'],
      ] as const) {
        const path = join(folder, `${kind}.safetensors`);
        const { table } = await makeCodes({ kind, vocabSize: 5000, nEmbed: 16 });
        await writeSafetensors(path, { table });
        const file = await openSafetensors(path);
        const report = await sampleTable(file, 'table', 16 * 640);
        await file.close();
        assert.equal(report.kind, seen);
        assert.ok(report.rows >= 640 && report.rows < 660, String(report.rows));
        assert.deepEqual(report.shape, [5000, 16]);
        assert.equal(report.unitNorm, kind === 'float');
        assert.equal(report.duplicates, 0);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
