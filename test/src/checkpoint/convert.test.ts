import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { floatModel, namedTensors, unsharedModel } from '../../../src/checkpoint/assemble.js';
import { inspectModel, loadModel } from '../../../src/checkpoint/loadModel.js';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { CompactTensor, DTYPES, type Dtype } from '../../../reference/lib/compactTensor.js';
import { CheckpointError, ConfigError } from '../../../src/lib/errors.js';
import { packTensor } from '../../../reference/lib/pack.js';
import type { Model } from '../../../reference/lib/weights.js';
import { tinyModel } from '../../support/arbitraries.js';
import { emergent } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';

/** The contents of a model, tensor by tensor. */
function contentsOf({ weights }: Model): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(namedTensors(weights)).map(([name, x]) => [
      name,
      x instanceof CompactTensor ? [x.dtype, x.shape, [...x.codes], [...x.scales]] : ['f32', x.shape, [...x.data]],
    ]),
  );
}

describe('convert', () => {
  let folder: string;
  const plain = (): string => join(folder, 'plain');
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-convert-'));
    await saveModel(plain(), tinyModel({ dModel: 40, nHead: 2, nEmbed: 8 })); // rows that end inside a group
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function converted(dtype: Dtype): Promise<string> {
    const out = join(folder, dtype);
    const { code, stderr } = await emergent(['convert', '--force', '--model', plain(), '--dtype', dtype, '--out', out]);
    assert.equal(code, 0, stderr);
    return out;
  }

  for (const dtype of DTYPES) {
    it(`${dtype}: a converted checkpoint loads as the same weights as the original`, async () => {
      const packed = await loadModel(plain(), { dtype });
      const { model, report } = await loadModel(await converted(dtype), dtype.includes('16') ? { dtype } : {});
      assert.deepEqual(contentsOf(model), contentsOf(packed.model));
      assert.deepEqual([report.dtype, report.lossless], [dtype, true]);
      assert.equal(packed.report.lossless, dtype === 'f32');
    });
  }

  it('int4 keeps the head in 8 bits, and the embedding, norms and biases in float32', async () => {
    const { model } = await loadModel(plain(), { dtype: 'int4' });
    const forms = Object.entries(namedTensors(model.weights)).map(
      ([name, x]) => `${name} ${x instanceof CompactTensor ? x.dtype : 'f32'}`,
    );
    assert.ok(forms.includes('lm_head.weight int8'));
    assert.ok(forms.includes('token_embeddings.weight f32'));
    assert.equal(forms.filter((it) => it.endsWith('int4')).length, 2 * 6);
    assert.ok(forms.every((it) => !/bias|norm/.test(it) || it.endsWith('f32')));
  });

  it('reports that bfloat16 from bfloat16 is lossless', async () => {
    const { report } = await loadModel(fixture('models/bfloat16'), { dtype: 'bf16' });
    assert.equal(report.lossless, true);
    assert.equal((await inspectModel(fixture('models/bfloat16'), { dtype: 'f16' })).lossless, false);
  });

  it('packs matrices read in several parts like those read at once', async () => {
    const model = tinyModel({ vocabSize: 2200, dModel: 992, nHead: 2, nLayer: 1 }); // a head of more than 2^21 weights
    await saveModel(join(folder, 'wide'), model);
    for (const dtype of ['f16', 'int8', 'int4'] as const) {
      const { lmHead } = (await loadModel(join(folder, 'wide'), { dtype })).model.weights;
      const { codes, scales } = packTensor(model.weights.lmHead.weight, dtype === 'int4' ? 'int8' : dtype);
      assert.ok(lmHead.weight instanceof CompactTensor);
      assert.deepEqual([lmHead.weight.codes, lmHead.weight.scales], [codes, scales]);
    }
  });

  it('rejects an unknown dtype', async () => {
    const asked = loadModel(plain(), { dtype: 'int3' as 'int4' });
    await assert.rejects(asked, /^InputError: unknown dtype "int3"; choose one of: f32, bf16, f16, int8, int4$/);
  });

  it('puts every weight in the memory that the caller provides', async () => {
    const room = new SharedArrayBuffer(2 ** 20);
    for (const dtype of DTYPES) {
      let used = 0;
      const allocateBytes = (bytes: number): Uint8Array => {
        used = Math.ceil((used + bytes) / 64) * 64;
        return new Uint8Array(room, used - Math.ceil(bytes / 64) * 64, bytes);
      };
      const { model } = await loadModel(plain(), { dtype, home: { allocateBytes } });
      for (const [name, x] of Object.entries(namedTensors(model.weights))) {
        assert.equal((x instanceof CompactTensor ? x.codes : x.data).buffer, room, name);
      }
      assert.deepEqual(contentsOf(model), contentsOf((await loadModel(plain(), { dtype })).model));
      const own = unsharedModel(model);
      for (const x of Object.values(namedTensors(own.weights))) assert.ok(x.data.buffer instanceof ArrayBuffer);
      assert.deepEqual(contentsOf(own), contentsOf(floatModel(model)));
    }
  });

  it('rejects a number that the dtype cannot represent', async () => {
    const model = tinyModel();
    for (const [dtype, value] of [
      ['f16', 70_000],
      ['int8', NaN],
      ['int4', -Infinity],
    ] as const) {
      model.weights.blocks[0].qProj.weight.data[5] = value;
      await saveModel(join(folder, dtype), model);
      await assert.rejects(loadModel(join(folder, dtype), { dtype }), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(
          error.message,
          new RegExp(`q_proj\\.weight contains ${value}, which ${dtype} cannot represent; bf16 can$`),
        );
        return true;
      });
      await loadModel(join(folder, dtype), { dtype: 'bf16' });
    }
  });

  it('refuses to quantize again, to overwrite another model, or to overwrite its input', async () => {
    const int8 = await converted('int8');
    await assert.rejects(loadModel(int8, { dtype: 'int4' }), /is int8; it can be loaded as int8 or f32, not int4$/);
    const again = await emergent(['convert', '--model', plain(), '--dtype', 'int8', '--out', int8]);
    assert.deepEqual([again.code, again.stderr.includes('already exists; --force')], [2, true]);
    await writeFile(join(folder, 'config.json'), '{}');
    const other = await emergent(['convert', '--model', plain(), '--dtype', 'int8', '--out', folder]);
    assert.deepEqual([other.code, other.stderr.includes('config.json already exists; --force')], [2, true]);
    await symlink(int8, join(folder, 'link'));
    const linked = await emergent([
      'convert',
      '--force',
      '--model',
      int8,
      '--dtype',
      'int8',
      '--out',
      join(folder, 'link'),
    ]);
    assert.deepEqual([linked.code, linked.stderr.includes('--out is the model itself')], [2, true]);
    const itself = await emergent(['convert', '--force', '--model', int8, '--dtype', 'int8', '--out', int8]);
    assert.deepEqual([itself.code, itself.stderr.includes('--out is the model itself')], [2, true]);
  });

  const FAULTS: [string, (text: string) => string, RegExp][] = [
    ['an unknown method', (config) => config.replace('"int8"', '"int7"'), /method must be int8 or int4, got "int7"$/],
    ['another group size', (config) => config.replace('64', '63'), /group_size must be 64 for int8, got 63$/],
    [
      'nothing about quantization',
      (config) => config.replace('"quantization"', '"other"'),
      /cannot identify .*\.scales/,
    ],
  ];
  for (const [what, edit, message] of FAULTS) {
    it(`rejects a config.json with ${what}`, async () => {
      const int8 = await converted('int8');
      const path = join(int8, 'config.json');
      await writeFile(path, edit(await readFile(path, 'utf8')));
      await assert.rejects(loadModel(int8), (error: Error) => {
        assert.ok(error instanceof ConfigError || error instanceof CheckpointError);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it('rejects codes without scales, codes of another shape, and scales that are NaN', async () => {
    const int8 = await converted('int8');
    const path = join(int8, 'model.safetensors');
    const bytes = await readFile(path);
    const text = bytes.toString('latin1');
    const write = (edited: string): Promise<void> => writeFile(path, edited, 'latin1');
    await write(text.replace('"lm_head.weight.scales"', '"lm_head.weight.scalez"'));
    await assert.rejects(loadModel(int8), /tensor lm_head\.weight\.scales is missing$/);
    await write(text.replace('"dtype":"I8","shape":[40,64]', '"dtype":"I8","shape":[64,40]'));
    await assert.rejects(loadModel(int8), /must be I8 \[40, 64\], but is I8 \[64, 40\]$/);
    const info = JSON.parse(text.slice(8, 8 + bytes.readUInt32LE(0))) as Record<string, { data_offsets: number[] }>;
    const nan = Buffer.from(bytes);
    nan.writeUInt16LE(0x7fc0, 8 + bytes.readUInt32LE(0) + info['lm_head.weight.scales'].data_offsets[0]);
    await writeFile(path, nan);
    await assert.rejects(loadModel(int8), /lm_head\.weight has a scale of NaN in row 0$/);
  });
});
