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
    await refuses({ tokens: [] }, /"tokens" must be a list/);
    await refuses({ precision: 'half' }, /"precision" must be float64 or float32, got "half"/);
    await refuses({}, /logits contains NaN at element 1/, [1, NaN]);
    await refuses({}, /logits contains Infinity at element 0/, [Infinity, 1]);
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
    own.tensors.set('layers.2.q', { data: Float64Array.of(1), shape: [1, 1], step: 1, norm: null });
    await assert.rejects(verify(model, own), /it contains layers\.2\.q, but this model has 2 pre-norm layers/);
    assert.throws(() => checkWeights(own, 'f'.repeat(64)), /was made from other weights/);
    checkWeights(own, own.header.weights_sha256!);
  });
});
