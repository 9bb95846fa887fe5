import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { namedTensors } from '../../../src/checkpoint/assemble.js';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { openSafetensors } from '../../../src/checkpoint/safetensors.js';
import { emergent } from '../../support/cli.js';

const pickles = fileURLToPath(new URL('../../../golden/fixtures-pickles/', import.meta.url));

describe('emergent import', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-import-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('writes a model folder with the weights that PyTorch saved, and says what it read as what', async () => {
    const out = join(folder, 'model');
    const { code, stderr } = await emergent(['import', `${pickles}model.pt`, '--out', out]);
    assert.equal(code, 0, stderr);
    for (const line of [
      'read the state dict under model',
      'read hidden_size 16 as d_model',
      'read activation_function gelu_new as gelu_approximate',
      'vocab_size 48 from the shapes of the tensors',
      'assumed, and not written: pad_id, rope_pairing, rope_theta, norm_position, layer_norm_eps',
    ]) {
      assert.ok(stderr.includes(`emergent: ${line}\n`), stderr);
    }
    const truth = await openSafetensors(`${pickles}model.safetensors`);
    const { model, report } = await loadModel(out);
    for (const [name, x] of Object.entries(namedTensors(model.weights))) {
      assert.deepEqual(x.data, (await truth.readFloat32(name)).data, name);
    }
    await truth.close();
    const written = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [written.n_layers, written.n_layer, written.torch_dtype, written.architectures, written.model_type],
      [2, 2, 'bfloat16', undefined, undefined],
    );
    for (const key of report.assumedKeys) assert.ok(!(key in written), key);
  });

  it('takes config.json and the tokenizer beside the file, keeps unknown keys, and lets --config replace keys', async () => {
    const from = join(folder, 'beside');
    await mkdir(from);
    await cp(`${pickles}model.pt`, join(from, 'pytorch_model.bin'));
    const config = { architectures: ['Own'], more: { a: [1] }, n_ctx: 16, num_heads: 4, pad_id: 48, torch_dtype: 'x' };
    await writeFile(join(from, 'config.json'), JSON.stringify(config));
    await writeFile(join(from, 'tokenizer.json'), '{}');
    const out = join(folder, 'other');
    const args = ['import', join(from, 'pytorch_model.bin'), '--config', 'n_head=2', '--out', out];
    const { code, stderr } = await emergent(args);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: .*pad_id is 48, outside the vocabulary of 48\n/);
    const written = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [written.architectures, written.more, written.n_head, written.num_heads, written.pad_id, written.torch_dtype],
      [['Own'], { a: [1] }, 2, undefined, undefined, 'bfloat16'],
    );
    assert.equal(await readFile(join(out, 'tokenizer.json'), 'utf8'), '{}');
  });

  it('refuses in one line, and writes nothing', async () => {
    const out = join(folder, 'refused');
    for (const [args, message] of [
      [['refused-malicious.pt'], /its pickle names posix\.system, which is refused/],
      [['zip.pt'], /d_model|n_head|block_size/],
      [['model.pt', '--config', 'nhead=2'], /unknown key 'nhead' of --config; choose from: model_type, /],
    ] as const) {
      const [file, ...rest] = args;
      const { code, stderr } = await emergent(['import', `${pickles}${file}`, ...rest, '--out', out]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.match(stderr, /^(emergent: [^\n]*\n)+$/);
      await assert.rejects(readFile(join(out, 'config.json')));
    }
  });
});
