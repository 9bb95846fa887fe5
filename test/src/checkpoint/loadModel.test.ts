import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forward } from '../../../reference/index.js';
import { inspectModel, loadModel } from '../../../src/checkpoint/loadModel.js';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { openSafetensors, writeSafetensors, type WritableTensor } from '../../../src/checkpoint/safetensors.js';
import { CheckpointError, ConfigError } from '../../../src/lib/errors.js';
import { tensor } from '../../../reference/lib/tensor.js';
import { tinyModel } from '../../support/arbitraries.js';
import { assertSame } from '../../support/assertions.js';
import { skip } from '../../support/setup.js';

describe('loadModel', () => {
  let folder: string;
  const model = tinyModel();
  const logits = forward([3, 1, 4, 1, 5], model);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    await saveModel(folder, model);
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** The tensors of the saved model, by canonical name. */
  async function saved(): Promise<Record<string, WritableTensor>> {
    const file = await openSafetensors(join(folder, 'model.safetensors'));
    const tensors: Record<string, WritableTensor> = {};
    for (const name of file.tensors.keys()) tensors[name] = await file.readFloat32(name);
    await file.close();
    return tensors;
  }
  async function rewrite(
    change: (tensors: Record<string, WritableTensor>) => Record<string, WritableTensor>,
  ): Promise<void> {
    await writeSafetensors(join(folder, 'model.safetensors'), change(await saved()));
  }
  async function editConfig(change: Record<string, unknown>): Promise<void> {
    const path = join(folder, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...config, ...change }));
  }
  async function loadedLogits() {
    return forward([3, 1, 4, 1, 5], (await loadModel(folder)).model);
  }

  it('reads back the model that was saved', async () => {
    const { model: loaded, report } = await loadModel(folder);
    assert.deepEqual(loaded, model);
    assert.deepEqual([report.assumedKeys, report.assumptions, report.warnings, report.ignored], [[], [], [], []]);
    const total = Object.values(report.parameters).reduce((a, b) => a + b, 0);
    assert.equal(total, 40 * 4 + 2 * (4 * 256 + 2 * 1024 + 64 + 16 + 64) + 32 + 40 * 16 + 40);
  });

  it('reports progress', async () => {
    const seen: [number, number][] = [];
    await loadModel(folder, { onProgress: (done, total) => seen.push([done, total]) });
    assert.ok(seen.every(([done, total], i) => done <= total && (i === 0 || done > seen[i - 1][0])));
    const { tensors } = await inspectModel(folder);
    const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(seen.every(([, all]) => all === total));
    assert.equal(seen.at(-1)![0], total);
  });

  it('aborts between two tensors', async () => {
    const abort = new AbortController();
    let seen = 0;
    const loading = loadModel(folder, {
      signal: abort.signal,
      onProgress: () => {
        if (++seen === 3) abort.abort();
      },
    });
    await assert.rejects(loading, { name: 'AbortError' });
    assert.ok(seen < 3 + 4, `${seen} tensors`); // four are read at a time
  });

  it('leaves no file open, whether it succeeds or fails', async function () {
    if (process.platform !== 'linux') skip(this, 'only on Linux');
    const openFiles = async () => (await readdir('/proc/self/fd')).length;
    const before = await openFiles();
    for (let i = 0; i < 5; i++) await loadModel(folder);
    await editConfig({ n_layer: 3 });
    for (let i = 0; i < 5; i++) await assert.rejects(loadModel(folder), CheckpointError);
    assert.ok((await openFiles()) < before + 5);
  });

  it('rejects weights that are not floats, before reading any', async () => {
    const bytes = await readFile(join(folder, 'model.safetensors'));
    const at = bytes.lastIndexOf('"F32"'); // of the last tensor
    bytes.write('"I32"', at);
    await writeFile(join(folder, 'model.safetensors'), bytes);
    const message = /lm_head\.bias is I32; weights must be F32, F16, BF16 or F64$/;
    await assert.rejects(loadModel(folder, { onProgress: () => assert.fail('read') }), message);
    await assert.rejects(inspectModel(folder), message);
  });

  it('reports each tensor with its role', async () => {
    const { tensors } = await inspectModel(folder);
    // prettier-ignore
    assert.deepEqual(tensors.at(-1), {
      name: 'lm_head.bias', dtype: 'F32', shape: [40], bytes: 160, canonical: 'lm_head.bias', by: 'name',
    });
    await rewrite((weights) => ({ ...weights, 'attn.masked_bias': tensor([]) }));
    const report = await inspectModel(folder);
    assert.deepEqual(report.ignored, [{ name: 'attn.masked_bias', what: 'buffer' }]);
    // prettier-ignore
    assert.deepEqual(report.tensors.at(-1), {
      name: 'attn.masked_bias', dtype: 'F32', shape: [], bytes: 4, canonical: null, by: null,
    });
  });

  it('splits fused projections', async () => {
    await rewrite((tensors) => {
      const fused: Record<string, WritableTensor> = {};
      for (const [name, x] of Object.entries(tensors)) {
        if (/[kv]_proj/.test(name)) continue;
        if (!name.includes('q_proj')) fused[name] = x;
        else {
          const parts = ['q', 'k', 'v'].map((part) => [...tensors[name.replace('q_proj', `${part}_proj`)].data]);
          fused[name.replace('q_proj', 'qkv')] = { data: Float32Array.from(parts.flat()), shape: [48, 16] };
        }
      }
      return fused;
    });
    assertSame(await loadedLogits(), logits);
    assert.match((await inspectModel(folder)).assumptions[0], /q, k and v in this order/);
  });

  it('transposes matrices stored like in GPT-2', async () => {
    const transposed = ([name, x]: [string, WritableTensor]): [string, WritableTensor] => {
      if (!name.startsWith('transformer_layers') || x.shape.length !== 2) return [name, x];
      const [R, K] = x.shape;
      const data = new Float32Array(R * K).map((_, i) => x.data[(i % R) * K + Math.floor(i / R)]);
      return [name, { data, shape: [K, R] }];
    };
    const gpt2 = (name: string) =>
      name.replace('transformer_layers', 'h').replace('ffn.0', 'mlp.c_fc').replace('ffn.2', 'mlp.c_proj');
    await rewrite((tensors) =>
      Object.fromEntries(
        Object.entries(tensors)
          .map(transposed)
          .map(([name, x]) => [gpt2(name), x]),
      ),
    );
    assertSame(await loadedLogits(), logits);
  });

  it('rounds float64 with a warning', async () => {
    await rewrite((tensors) => ({
      ...tensors,
      'lm_head.bias': { data: Float64Array.from(tensors['lm_head.bias'].data), shape: [40] },
    }));
    assertSame(await loadedLogits(), logits);
    assert.deepEqual((await inspectModel(folder)).warnings, ['lm_head.bias is F64 and is rounded to float32']);
  });

  it('reads shards', async () => {
    const entries = Object.entries(await saved());
    const half = entries.length >> 1;
    await writeSafetensors(join(folder, 'a.safetensors'), Object.fromEntries(entries.slice(0, half)));
    await writeSafetensors(join(folder, 'b.safetensors'), Object.fromEntries(entries.slice(half)));
    await rm(join(folder, 'model.safetensors'));
    const index = join(folder, 'model.safetensors.index.json');
    const map = Object.fromEntries(entries.map(([name], i) => [name, i < half ? 'a.safetensors' : 'b.safetensors']));
    await writeFile(index, JSON.stringify({ weight_map: map }));
    assertSame(await loadedLogits(), logits);

    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ ...map, 'lm_head.bias': 'a.safetensors' }, /does not list tensor "lm_head\.bias" in this shard/],
      [{ ...map, extra: 'a.safetensors' }, /tensor "extra" is not in a\.safetensors/],
      [{ ...map, 'lm_head.bias': '../b.safetensors' }, /which is not a file in this folder/],
      [{ ...map, 'lm_head.bias': '..\\b.safetensors' }, /which is not a file in this folder/],
      [{ ...map, 'lm_head.bias': '/etc/b.safetensors' }, /which is not a file in this folder/],
      [{ ...map, 'lm_head.bias': 'b.safetensors\0.safetensors' }, /which is not a file in this folder/],
      [{ ...map, 'lm_head.bias': 'pytorch_model.bin' }, /which is not a file in this folder/],
      [{ ...map, 'lm_head.bias': 7 }, /"lm_head\.bias" is mapped to 7/],
      [
        Object.fromEntries(entries.slice(1).map(([name]) => [name, map[name]])),
        /does not list tensor "[^"]+" in this shard/,
      ],
      [{ 'lm_head.bias': 'c.safetensors' }, /c\.safetensors does not exist/],
      [{}, /weight_map must map each tensor/],
    ];
    for (const [weight_map, message] of wrong) {
      await writeFile(index, JSON.stringify({ weight_map }));
      await assert.rejects(
        loadModel(folder),
        (error) => error instanceof CheckpointError && message.test(error.message),
      );
    }
  });

  it('checks rotary frequencies in the file against the config', async () => {
    const frequencies = (theta: number) =>
      tensor(
        [4],
        Float32Array.from([0, 1, 2, 3], (i) => theta ** (-i / 4)),
      );
    await rewrite((tensors) => ({ ...tensors, 'rotary.inv_freq': frequencies(10000) }));
    assertSame(await loadedLogits(), logits);
    await rewrite((tensors) => ({ ...tensors, 'rotary.inv_freq': frequencies(500) }));
    await assert.rejects(
      loadModel(folder),
      /contains a rope_theta of 500\.0, but config\.json implies rope_theta 10000/,
    );
    await rewrite((tensors) => ({ ...tensors, 'rotary.inv_freq': tensor([3]) }));
    await assert.rejects(
      loadModel(folder),
      /contains 3 frequencies, but config\.json implies rope_theta 10000 and 4 frequencies/,
    );
    await rewrite((tensors) => ({ ...tensors, 'rotary.inv_freq': tensor([4]) }));
    await assert.rejects(loadModel(folder), /contains no powers of a rope_theta/);
    await editConfig({ n_head: 8 });
    await rewrite((tensors) => ({ ...tensors, 'rotary.inv_freq': tensor([1], Float32Array.of(0.5)) }));
    await assert.rejects(loadModel(folder), /contains the frequency 0\.5, but/);
  });

  it('reports assumed keys', async () => {
    const config = { vocab_size: 40, block_size: 16, n_embd: 4, d_model: 16, n_layer: 2, n_head: 2 };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    const report = await inspectModel(folder);
    const keys = ['pad_id', 'rope_pairing', 'rope_theta', 'gelu_approximate', 'norm_position', 'layer_norm_eps'];
    assert.deepEqual(report.assumedKeys, keys);
  });

  it('rejects anything but a model folder in one line', async () => {
    await assert.rejects(loadModel(join(folder, 'nope')), /nope does not exist$/);
    await assert.rejects(loadModel(join(folder, 'config.json')), /is not a folder/);
    await editConfig({ n_head: 3 });
    await assert.rejects(
      loadModel(folder),
      (e) => e instanceof ConfigError && e.message.includes('n_head must divide d_model'),
    );
    await writeFile(join(folder, 'config.json'), '{');
    await assert.rejects(loadModel(folder), /config\.json is not JSON/);
    await rm(join(folder, 'config.json'));
    await assert.rejects(loadModel(folder), /config\.json does not exist/);
  });

  it('rejects pickled weights and explains how to convert them', async () => {
    const other = join(folder, 'pickled');
    await mkdir(other);
    await copyFile(join(folder, 'config.json'), join(other, 'config.json'));
    await assert.rejects(loadModel(other), /has neither model\.safetensors nor model\.safetensors\.index\.json/);
    await writeFile(join(other, 'pytorch_model.bin'), '');
    await assert.rejects(loadModel(other), /Python pickle.*emergent import pytorch_model\.bin --out DIR/);
  });
});
