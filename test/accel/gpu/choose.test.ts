import assert from 'node:assert/strict';
import { chooseGpuBackend, computeTrial } from '../../../accel/gpu/choose.js';
import { DeviceError } from '../../../accel/errors.js';
import type { GpuInstance, GpuJs } from '../../../accel/gpu/gpujs.js';
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

  it('falls back where the trial throws an error of GPU.js', async () => {
    const { GPU } = ((await import('gpu.js')) as unknown as { default: { GPU: { prototype: GpuInstance } } }).default;
    const { createKernel } = GPU.prototype;
    let calls = 0;
    GPU.prototype.createKernel = () => {
      calls++;
      throw new TypeError('broken compiler');
    };
    try {
      await assert.rejects(chooseGpuBackend(tinyModel()), (error: Error) => {
        assert.ok(error instanceof DeviceError);
        assert.match(error.message, /; webasm: [^;]*broken compiler; cpu: [^;]*broken compiler$/);
        return true;
      });
      assert.ok(calls >= 2);
    } finally {
      GPU.prototype.createKernel = createKernel;
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
