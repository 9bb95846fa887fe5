import assert from 'node:assert/strict';
import { chooseGpuBackend, computeTrial } from '../../../accel/gpu/choose.js';
import { tinyModel } from '../../support/arbitraries.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';

describe('choosing a GPU backend', () => {
  it('picks a backend that is no software GPU and says why it rejected the others', async () => {
    const { backend, adapter, passedOver } = await chooseGpuBackend(tinyModel());
    if (backend !== 'webgpu') assert.match(passedOver[0], /^webgpu: /);
    assert.doesNotMatch(adapter, /swiftshader/i);
  });
});

onEveryBackend('the trial of a GPU backend', (backend) => {
  const device = useDevice(backend);

  it('passes on a correct device', () => computeTrial(device(), tinyModel()));

  it('fails on a device that computes wrong numbers', async () => {
    const read = device().read.bind(device());
    device().read = async (x) => {
      const y = await read(x);
      y.data[0] += 0.01;
      return y;
    };
    await assert.rejects(
      computeTrial(device(), tinyModel()),
      new RegExp(`^DeviceError: ${backend}: it computes wrong numbers`),
    );
  });
});
