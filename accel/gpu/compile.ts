import { DeviceError } from '../errors.js';
import type { Float32Tensor } from '../../reference/lib/tensor.js';
import type { GpuInstance, GpuJs, KernelFunction, KernelShortcut } from './gpujs.js';
import { outputOf } from './storage.js';

/** The GPU.js backends that this project supports, fastest first. */
export const GPU_BACKENDS = ['webgpu', 'webgl2', 'webasm', 'cpu'] as const;
export type GpuBackend = (typeof GPU_BACKENDS)[number];

export interface KernelConstants {
  /** Integers, which can be used in index arithmetic. */
  integers?: Record<string, number>;
  /** All other numbers. */
  reals?: Record<string, number>;
  /** Tensors of up to three dimensions that stay on the device, such as weights. */
  tables?: Record<string, Float32Tensor>;
  /** How many numbers a thread returns: the last dimension of the result. One number, without that dimension, if unset. */
  components?: 2 | 3 | 4;
  /** Every call uses the same shapes, so the host can free its copies of the tables. */
  fixed?: boolean;
  /** Use several threads on `webasm`, which creates a thread pool for each such kernel. */
  threads?: boolean;
}

/** Makes a GPU.js kernel, which its first call compiles. */
export function compile(
  backend: GpuBackend,
  { Input }: GpuJs,
  gpu: GpuInstance,
  body: KernelFunction | string,
  { integers = {}, reals = {}, tables = {}, threads = false }: KernelConstants,
  argumentTypes: string[],
  output: number[],
): KernelShortcut {
  const inputs = Object.entries(tables).map(([key, x]) => [key, new Input(x.data, outputOf(x.shape))] as const);
  const shortcut = gpu.createKernel(body, {
    output,
    argumentTypes,
    constants: { ...integers, ...reals, ...Object.fromEntries(inputs) },
    constantTypes: {
      ...Object.fromEntries(Object.keys(integers).map((key) => [key, 'Integer'])),
      ...Object.fromEntries(Object.keys(reals).map((key) => [key, 'Float'])),
      ...Object.fromEntries(inputs.map(([key]) => [key, 'Input'])),
    },
    precision: 'single',
    tactic: 'precision',
    pipeline: true,
    immutable: true,
    dynamicOutput: true,
    dynamicArguments: backend !== 'cpu', // cpu would take the strides of tables from the output
    loopMaxIterations: 1e9, // by default GPU.js silently stops loops after 1,000 iterations
    ...(threads && backend === 'webasm' ? { asyncMode: true } : {}),
  });
  // otherwise GPU.js would create an object for every row
  if (backend === 'webasm') shortcut.kernel._shapeOutput = (data) => data;
  return shortcut;
}

/**
 * Checks after a kernel's first call which backend ran it, and frees the host's copies of tables that are now on the device.
 *
 * @throws DeviceError if GPU.js silently ran the kernel on another backend.
 */
export function finishFirstCall(
  backend: GpuBackend,
  { Input }: GpuJs,
  { kernel, fallbackReason }: KernelShortcut,
  fixed: boolean,
): void {
  const mode = modeOf(kernel);
  if (mode !== backend) {
    throw new DeviceError(`${backend}: GPU.js ran a kernel on ${mode} instead: ${fallbackReason ?? 'no reason given'}`);
  }
  if (backend !== 'webgpu' && !(backend === 'webasm' && fixed)) return;
  for (const constant of Object.values(kernel.constants)) {
    if (constant instanceof Input) constant.value = new Float32Array(0);
  }
}

/** Both WebGL backends of GPU.js report the mode `gpu`; the context shows which one it is. */
function modeOf({ constructor: { mode }, context }: KernelShortcut['kernel']): string {
  if (mode !== 'gpu') return mode ?? 'an unnamed backend';
  return context?.constructor.name === 'WebGL2RenderingContext' ? 'webgl2' : 'webgl';
}
