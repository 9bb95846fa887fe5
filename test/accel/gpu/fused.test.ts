import assert from 'node:assert/strict';
import { forward as referenceForward } from '../../../reference/model.js';
import type { Device } from '../../../accel/gpu/device.js';
import { KvCache } from '../../../accel/gpu/kvCache.js';
import { forward } from '../../../accel/gpu/model.js';
import { uploadModel } from '../../../accel/gpu/upload.js';
import type { Model } from '../../../reference/lib/weights.js';
import { tinyModel } from '../../support/arbitraries.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';
import { Meter } from '../parity.js';
import { FUSED } from './fused.js';

const IDS = [3, 1, 4, 0];

/** Decodes tokens one by one: the largest distance of logits from the reference relative to their rms, with and without a trace. */
async function distances(device: Device, model: Model): Promise<number[]> {
  const { vocabSize: V } = model.config;
  const expected = referenceForward(IDS, model, { logits: 'all' }).data;
  const rms = Math.sqrt(expected.reduce((sum, x) => sum + x * x, 0) / expected.length);
  const uploaded = await uploadModel(model, device);
  const largest: number[] = [];
  for (const trace of [undefined, () => undefined]) {
    const cache = new KvCache(device, model.config);
    let distance = 0;
    for (const [t, id] of IDS.entries()) {
      const { data } = await forward([id], uploaded, cache, 'last', trace);
      data.forEach((x, v) => (distance = Math.max(distance, Math.abs(x - expected[t * V + v]) / rms)));
    }
    largest.push(distance);
    cache.dispose();
  }
  return largest;
}

/** The kernels of a token after the first. */
async function launchesOf(device: Device, model: Model): Promise<number> {
  const uploaded = await uploadModel(model, device);
  const cache = new KvCache(device, model.config);
  await forward([3, 1], uploaded, cache, 'last');
  const before = device.launches;
  await forward([4], uploaded, cache, 'last');
  cache.dispose();
  return device.launches - before;
}

onEveryBackend(
  'the fused ops of one token against compositions of the reference',
  (backend) => {
    const device = useDevice(backend);
    for (const [op, check] of Object.entries(FUSED)) {
      it(op, async () => {
        const meter = new Meter();
        await check(device(), meter);
        assert.ok(meter.compared > 0);
      });
    }
    it('frees everything it allocates', () => {
      assert.equal(device().live, 0);
    });
  },
  ['webgpu', 'webgl2'],
);

onEveryBackend(
  'a pass of one token',
  (backend) => {
    const device = useDevice(backend);

    it('gives the logits of the reference with fused kernels, and without them when traced', async () => {
      const other = tinyModel({ ropePairing: 'interleaved', geluApproximate: 'tanh' });
      for (const [name, model] of Object.entries({
        tiny: tinyModel(),
        'other conventions, no final norm': { ...other, weights: { ...other.weights, finalNorm: null } },
        'post norm, which is not fused': tinyModel({ normPosition: 'post' }),
      })) {
        const [fused, traced] = await distances(device(), model);
        assert.ok(fused < 1e-5, `${name}, fused: ${fused}`);
        assert.ok(traced < 1e-5, `${name}, traced: ${traced}`);
      }
    });

    it('takes ten kernels a block: 165 with 16 blocks', async () => {
      assert.equal(await launchesOf(device(), tinyModel({ nLayer: 16 })), 165);
      assert.equal(await launchesOf(device(), tinyModel({ nLayer: 1 })), 15);
    });
  },
  ['webgpu', 'webgl2'],
);
