import { messageOf } from '../../reference/lib/errors.js';
import { DeviceError } from '../errors.js';
import type { GpuBackend } from './compile.js';
import { Device } from './device.js';
import type { GpuJs } from './gpujs.js';

/** Number of open {@link Device}s that share GPU.js's only WebGPU context. */
let webGpuDevices = 0;

/**
 * Opens a backend of GPU.js.
 *
 * @throws DeviceError if the backend is missing, with a remedy where there is one.
 */
export async function openDevice(backend: GpuBackend): Promise<Device> {
  const gpujs = await importGpuJs();
  if (backend === 'webgl2' && !('document' in globalThis && gpujs.GPU.isWebGL2Supported)) {
    throw new DeviceError('webgl2: no WebGL 2 found; it needs a browser with a working graphics driver');
  }
  if (backend !== 'webgpu') return new Device(backend, gpujs, null);
  await defineNavigatorGpu();
  try {
    const context = await gpujs.WebGPUContext.acquire();
    const device = new Device(backend, gpujs, context, () => releaseWebGpu(gpujs));
    webGpuDevices++; // not earlier: if the constructor throws, nobody will release the context
    return device;
  } catch (error) {
    if (webGpuDevices === 0) await gpujs.WebGPUContext.destroy();
    const [line] = messageOf(error).split('\n');
    const why = line.includes('no adapter') ? 'no adapter: WebGPU found no usable GPU' : line;
    throw new DeviceError(`webgpu: ${why}`, { cause: error });
  }
}

/** Destroys the context with the last device, because Node does not exit while one exists. */
async function releaseWebGpu(gpujs: GpuJs): Promise<void> {
  webGpuDevices--;
  if (webGpuDevices === 0) await gpujs.WebGPUContext.destroy();
}

async function importGpuJs(): Promise<GpuJs> {
  try {
    const module: unknown = await import('gpu.js');
    return (module as { default: GpuJs }).default;
  } catch (error) {
    throw new DeviceError(`the GPU backends need the package gpu.js: npm install gpu.js@2.24 (${messageOf(error)})`, {
      cause: error,
    });
  }
}

/** Node has no WebGPU, so this loads the package webgpu, which is Google's Dawn. */
async function defineNavigatorGpu(): Promise<void> {
  const scope = globalThis as { navigator?: { gpu?: unknown } };
  if (scope.navigator?.gpu || typeof process === 'undefined') return;
  try {
    const { create, globals } = (await import(
      /* webpackIgnore: true */ /* @vite-ignore */ NODE_WEBGPU
    )) as WebGpuPackage;
    Object.assign(globalThis, globals);
    const gpu = create([]);
    if (scope.navigator) Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
    else Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  } catch (error) {
    const [line] = messageOf(error).split('\n');
    throw new DeviceError(`webgpu: Node needs the package webgpu: npm install webgpu@0.4.0 (${line})`, {
      cause: error,
    });
  }
}

/** A variable, so that bundlers for browsers do not look for the package. */
const NODE_WEBGPU = 'webgpu';

interface WebGpuPackage {
  create: (flags: string[]) => unknown;
  globals: Record<string, unknown>;
}
