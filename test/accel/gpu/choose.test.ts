import assert from 'node:assert/strict';
import { chooseGpuBackend, computeTrial } from '../../../accel/gpu/choose.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';

describe('choosing a GPU backend', () => {
  it('picks a hardware GPU and says why it rejected the others', async () => {
    const { backend, adapter, passedOver } = await chooseGpuBackend();
    if (backend !== 'webgpu') assert.match(passedOver[0], /^webgpu: /);
    assert.doesNotMatch(adapter, /swiftshader/i);
  });
});

onEveryBackend('the trial of a GPU backend', (backend) => {
  const device = useDevice(backend);

  it('passes on a correct device', () => computeTrial(device()));

  it('fails on a device that computes wrong numbers', async () => {
    const read = device().read.bind(device());
    device().read = async (x) => {
      const y = await read(x);
      y.data[0] += 0.01;
      return y;
    };
    await assert.rejects(computeTrial(device()), new RegExp(`^DeviceError: ${backend}: it computes wrong numbers`));
  });
});
