import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { writeSafetensors } from '../../../src/checkpoint/safetensors.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { InputError } from '../../../reference/lib/errors.js';
import { checkWeights } from '../../../src/verify/golden.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { verify } from '../../../src/verify/verify.js';
import { fixture } from '../../support/golden.js';

describe('golden files', () => {
  let folder: string;
  const path = (name: string) => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
  });
  after(() => rm(folder, { recursive: true }));

  const header = { format: 1, producer: 'test', precision: 'float64', tokens: [1, 2] };
  async function write(change: object, data = [1, 2]): Promise<string> {
    const metadata = { emergent: JSON.stringify({ ...header, ...change }) };
    const tensors = { logits: { data: Float64Array.from(data), shape: [1, data.length] } };
    await writeSafetensors(path('x.safetensors'), tensors, metadata);
    return path('x.safetensors');
  }
  async function refuses(change: object, message: RegExp, data?: number[]): Promise<void> {
    await assert.rejects(
      readGolden(await write(change, data)),
      (error) => error instanceof InputError && message.test(error.message) && !error.message.includes('\n'),
    );
  }

  it('are refused when truncated', async () => {
    const whole = await readFile(fixture('models/tanh/truth.safetensors'));
    await writeFile(path('cut.safetensors'), whole.subarray(0, whole.length - 100));
    await assert.rejects(readGolden(path('cut.safetensors')), CheckpointError);
  });

  it('are refused when of another version, without tokens, or with NaN inside', async () => {
    await refuses({ format: 2 }, /has golden format 2, but this version reads 1/);
    await refuses({ tokens: [] }, /"tokens" must be the list/);
    await refuses({ precision: 'half' }, /"precision" must be float64, float32, bfloat16 or float16, got "half"/);
    await refuses({}, /logits contains NaN at element 1/, [1, NaN]);
    await refuses({}, /logits contains Infinity at element 0/, [Infinity, 1]);
  });

  it('are refused when the header has another type than it should', async () => {
    const sample = { shape: [1, 2], step: 1, norm: Math.sqrt(5) };
    const faults: [object, RegExp][] = [
      [{ weights_sha256: 5 }, /: "weights_sha256" must be a SHA-256 of 64 hexadecimal digits, got 5$/],
      [{ weights_sha256: 'abc' }, /"weights_sha256" must be/],
      [{ weights_sha256: null }, /"weights_sha256" must be/],
      [{ producer: ['PyTorch'] }, /"producer" must be a string/],
      [{ producer: undefined }, /"producer" is missing/],
      [{ tokens: [1, 1.5] }, /"tokens" must be the list/],
      [{ tokens: ['1'] }, /"tokens" must be the list/],
      [{ tokens: { length: 1 } }, /"tokens" must be the list/],
      [{ sampled: null }, /"sampled" must map activations/],
      [{ sampled: [] }, /"sampled" must map/],
      [{ sampled: { logits: null } }, /"sampled" must map/],
      [{ sampled: { logits: { ...sample, shape: null } } }, /"sampled" must map/],
      [{ sampled: { logits: { ...sample, shape: [1, -2] } } }, /"sampled" must map/],
      [{ sampled: { logits: { ...sample, step: 0 } } }, /"sampled" must map/],
      [{ sampled: { logits: { ...sample, norm: 'x' } } }, /"sampled" must map/],
      [{ sampled: { constructor: { ...sample, norm: -1 } } }, /"sampled" must map/],
      [{ synthetic: { preset: 'x' } }, /"synthetic\.seed" is missing/],
      [{ synthetic: 'x' }, /"synthetic" must be an object/],
      [{ float32_distance: { logits: '1' } }, /"float32_distance" must map/],
    ];
    for (const [change, message] of faults) await refuses(change, message);
    await readGolden(await write({ sampled: { logits: sample }, float32_distance: { logits: 0 }, more: null }));
  });

  it('are refused when the header is deep, or no object', async () => {
    const tensors = { logits: { data: Float64Array.of(1, 2), shape: [1, 2] } };
    for (const emergent of [
      'null',
      '5',
      '[]',
      '['.repeat(100_000),
      `{"format":${'['.repeat(9999)}1${']'.repeat(9999)}}`,
      '{',
    ]) {
      await writeSafetensors(path('h.safetensors'), tensors, { emergent });
      await assert.rejects(
        readGolden(path('h.safetensors')),
        (error) => error instanceof InputError && error.message.length < 400,
      );
    }
  });

  it('are refused when an activation has no elements, with or without a sample', async () => {
    const empty = { logits: { data: new Float64Array(0), shape: [0, 2] } };
    for (const sampled of [undefined, { logits: { shape: [0], step: 1, norm: 0 } }]) {
      await writeSafetensors(path('0.safetensors'), empty, { emergent: JSON.stringify({ ...header, sampled }) });
      await assert.rejects(
        readGolden(path('0.safetensors')),
        (error) => error instanceof InputError && error.message.includes('logits has 0 elements'),
      );
    }
  });

  it('may hold an activation with the name of a method', async () => {
    const tensors = { constructor: { data: Float64Array.of(1), shape: [1] } };
    await writeSafetensors(path('c.safetensors'), tensors, { emergent: JSON.stringify({ ...header, sampled: {} }) });
    assert.deepEqual((await readGolden(path('c.safetensors'))).tensors.get('constructor')!.shape, [1]);
  });

  it('are refused when they hold nothing, or are something else', async () => {
    await writeSafetensors(path('e.safetensors'), {}, { emergent: JSON.stringify(header) });
    await assert.rejects(readGolden(path('e.safetensors')), /contains no activations/);
    await assert.rejects(readGolden(fixture('models/tanh/model.safetensors')), /is not a golden file/);
  });

  it('are refused when of another model or other weights', async () => {
    const { model } = await loadModel(fixture('models/tanh'));
    const deep = await readGolden(fixture('models/model_64_float/truth.safetensors'));
    await assert.rejects(verify(model, deep), /is for another model: (token|its logits)/);
    const post = await readGolden(await write({ tokens: [99] }));
    await assert.rejects(verify(model, post), /token 99 is outside the vocabulary of 48/);
    const own = await readGolden(fixture('models/tanh/truth.safetensors'));
    own.tensors.set('layers.2.q', { data: Float64Array.of(1), shape: [1, 1], step: 1, norm: null, dtype: 'F64' });
    await assert.rejects(verify(model, own), /it contains layers\.2\.q, but this model has 2 pre-norm layers/);
    assert.throws(() => checkWeights(own, 'f'.repeat(64)), /was made from other weights/);
    checkWeights(own, own.header.weights_sha256!);
  });
});
