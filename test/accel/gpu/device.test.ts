import assert from 'node:assert/strict';
import type { GpuJs, Thread } from '../../../accel/gpu/gpujs.js';
import { openDevice } from '../../../accel/gpu/openDevice.js';
import { DeviceError } from '../../../accel/errors.js';
import { ShapeError } from '../../../reference/lib/errors.js';
import { tensor } from '../../../reference/lib/tensor.js';
import { onEveryBackend, useDevice } from '../../support/devices.js';

function double(this: Thread, x: number[]): number {
  return 2 * x[this.thread.x];
}

describe('a WebGPU device that cannot be set up', () => {
  it('leaves no context behind, however often', async () => {
    const { WebGPUContext } = ((await import('gpu.js')) as unknown as { default: GpuJs }).default;
    const original = Object.getOwnPropertyDescriptors(WebGPUContext);
    let destroyed = 0;
    // A context without a device, which the recorder cannot take.
    WebGPUContext.acquire = () => Promise.resolve({} as never);
    WebGPUContext.destroy = () => {
      destroyed++;
      return Promise.resolve();
    };
    try {
      for (const times of [1, 2]) {
        await assert.rejects(openDevice('webgpu'), /^DeviceError: webgpu: .+/);
        assert.equal(destroyed, times);
      }
    } finally {
      Object.defineProperties(WebGPUContext, { acquire: original.acquire, destroy: original.destroy });
    }
  });
});

onEveryBackend('device', (backend) => {
  const device = useDevice(backend);
  const x = tensor([6], Float32Array.of(1, 2, 3, 4, 5, 6));

  it('frees everything allocated in a scope except its result', async () => {
    const kernel = device().kernel(double);
    const before = device().live;
    const y = await device().scope(async () => kernel([6], await kernel([6], await device().upload(x))));
    assert.equal(device().live, before + 1);
    assert.deepEqual([...(await device().read(y)).data], [4, 8, 12, 16, 20, 24]);
    device().free(y);
    await assert.rejects(
      device().scope(async () => {
        await device().upload(x);
        throw new Error('inside the scope');
      }),
      /inside the scope/,
    );
    assert.equal(device().live, before);
  });

  it('copies rows, writes them to an offset and reshapes a matrix', async () => {
    await device().scope(async () => {
      const matrix = device().reshape(await device().upload(x), [3, 2]);
      assert.deepEqual([...(await device().read(await device().rows(matrix, 1, 3))).data], [3, 4, 5, 6]);
      const target = await device().write(await device().upload(tensor([4, 2])), matrix, 1);
      assert.deepEqual([...(await device().read(target)).data], [0, 0, 1, 2, 3, 4, 5, 6]);
      assert.throws(() => device().reshape(target, [3, 2]), ShapeError);
      return null;
    });
  });

  it('runs a kernel at any size unless its size is fixed', async () => {
    await device().scope(async () => {
      const [any, one] = [device().kernel(double), device().kernel(double, { fixed: true })];
      for (const size of [6, 1, 3]) {
        const y = await any([size], await device().upload(tensor([size], x.data.slice(0, size))));
        assert.deepEqual([...(await device().read(y)).data], [2, 4, 6, 8, 10, 12].slice(0, size));
      }
      await one([6], await device().upload(x));
      await assert.rejects(one([3], await device().upload(x)), /double: made for \[6\],\[6\], got \[3\],\[6\]/);
      return null;
    });
  });

  it('runs loops of more than 1,000 iterations to the end', async () => {
    await device().scope(async () => {
      const count = device().kernel(function count(this: Thread, _x: number[], rounds: number) {
        let sum = 0;
        for (let i = 0; i < rounds; i++) sum += 1;
        return sum;
      });
      assert.equal((await device().read(await count([1], await device().upload(x), 70001))).data[0], 70001);
      return null;
    });
  });

  it('rejects calls after it is disposed of', async () => {
    const gone = await openDevice(backend);
    const y = await gone.upload(x);
    await gone.dispose();
    await gone.dispose();
    const refusal = new RegExp(`^DeviceError: ${backend}: (the model has been disposed of|the device was lost)`);
    await assert.rejects(gone.kernel(double)([6], y), refusal);
    await assert.rejects(gone.read(y), refusal);
  });

  it('names a kernel that GPU.js cannot compile', async () => {
    const kernel = device().kernel('function wrong(x) { return undefinedFunction(x[this.thread.x]); }');
    const y = await device().upload(x);
    await assert.rejects(kernel([6], y), (error: Error) => {
      assert.ok(error instanceof DeviceError);
      assert.match(error.message, new RegExp(`^${backend}: wrong failed: [^\\n]+$`));
      return true;
    });
    device().free(y);
  });

  if (backend === 'webasm') {
    it('rejects kernels that GPU.js would silently run on the CPU', async () => {
      const kernel = device().kernel('function odd(x) { return x[this.thread.x] > 2; }');
      const y = await device().upload(x);
      await assert.rejects(kernel([6], y), /^DeviceError: webasm: .*(on cpu instead|failed)/);
      device().free(y);
    });
  }

  if (backend === 'webgpu') {
    it('rejects a buffer over the limit', async () => {
      await assert.rejects(
        device().upload({ data: x.data, shape: [2 ** 20, 2 ** 20] }),
        /^DeviceError: webgpu: a buffer of 4398046511104 bytes exceeds this device's limit of \d+$/,
      );
    });

    it('throws instead of returning numbers after a driver error', async () => {
      const other = await openDevice('webgpu');
      const y = await other.upload(x);
      other.free(y);
      await assert.rejects(other.kernel(double)([6], y), DeviceError);
      await other.dispose();
    });

    it('throws once the device is lost and works after it is reopened', async () => {
      const lost = await openDevice('webgpu');
      const y = await lost.upload(x);
      const { default: gpujs } = (await import('gpu.js')) as unknown as { default: GpuJs };
      await gpujs.WebGPUContext.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await assert.rejects(lost.kernel(double)([6], y), /^DeviceError: webgpu: the device was lost/);
      await assert.rejects(lost.read(y), DeviceError);
      await assert.rejects(lost.upload(x), DeviceError);
      await lost.dispose();

      const again = await openDevice('webgpu');
      assert.equal((await again.read(await again.kernel(double)([6], await again.upload(x)))).data[5], 12);
      await again.dispose();
    });

    it('returns no numbers after a driver error in work that another model submitted', async () => {
      const [one, other] = [await openDevice('webgpu'), await openDevice('webgpu')];
      const y = await one.kernel(double)([6], await one.upload(x));
      const narrow = other.reshape(await other.upload(x), [3, 2]);
      await other.rows(narrow, 4000, 4001); // past the end
      await assert.rejects(one.read(y), /^DeviceError: webgpu: .+/);
      const later = await openDevice('webgpu');
      assert.equal((await later.read(await later.kernel(double)([6], await later.upload(x)))).data[5], 12);
      for (const it of [one, other, later]) await it.dispose();
    });
  }
});
