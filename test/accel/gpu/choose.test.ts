import assert from 'node:assert/strict';
import { chooseGpuBackend, computeTrial } from '../../../accel/gpu/choose.js';
import { DeviceError } from '../../../accel/errors.js';
import type { GpuJs } from '../../../accel/gpu/gpujs.js';
import { tinyModel } from '../../support/arbitraries.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';

describe('choosing a GPU backend', () => {
  it('picks a backend that is no software GPU and says why it rejected the others', async () => {
    const { backend, adapter, passedOver } = await chooseGpuBackend(tinyModel());
    if (backend !== 'webgpu') assert.match(passedOver[0], /^webgpu: /);
    assert.doesNotMatch(adapter, /swiftshader/i);
  });

  it('falls back to the next backend, with the reason, where opening one throws', async () => {
    const { WebGPUContext } = ((await import('gpu.js')) as unknown as { default: GpuJs }).default;
    const acquire = Object.getOwnPropertyDescriptor(WebGPUContext, 'acquire')!;
    const icd = process.env.VK_ICD_FILENAMES;
    process.env.VK_ICD_FILENAMES ??= 'set so that webgpu is tried';
    WebGPUContext.acquire = () => Promise.reject(new TypeError('broken driver\nat some line'));
    try {
      const { backend, passedOver } = await chooseGpuBackend(tinyModel());
      assert.equal(backend, 'webasm');
      assert.match(passedOver[0], /^webgpu: (broken driver|Node needs the package webgpu: .+)$/);
    } finally {
      Object.defineProperty(WebGPUContext, 'acquire', acquire);
      if (icd === undefined) delete process.env.VK_ICD_FILENAMES;
    }
  });

  it('gives a reason for each backend where GPU.js itself throws', async () => {
    const gpujs = ((await import('gpu.js')) as unknown as { default: GpuJs }).default;
    const original = Object.getOwnPropertyDescriptor(gpujs, 'GPU')!;
    function broken(): never {
      throw new TypeError('broken compiler\nat some line');
    }
    Object.defineProperty(gpujs, 'GPU', { value: broken, configurable: true });
    try {
      await assert.rejects(chooseGpuBackend(tinyModel()), (error: Error) => {
        assert.ok(error instanceof DeviceError, String(error));
        assert.match(error.message, /webasm: broken compiler; cpu: broken compiler$/);
        return true;
      });
    } finally {
      Object.defineProperty(gpujs, 'GPU', original);
    }
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
      new RegExp(`^DeviceError: ${backend}: computes wrong numbers`),
    );
  });
});
