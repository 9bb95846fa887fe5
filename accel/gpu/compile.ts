import { DeviceError } from '../errors.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import type { GpuInstance, GpuJs, KernelFunction, KernelShortcut } from './gpujs.js';
import { outputOf } from './storage.js';

/** GPU.js's backends that this project runs on, the fastest first. */
export const GPU_BACKENDS = ['webgpu', 'webgl2', 'webasm', 'cpu'] as const;
export type GpuBackend = (typeof GPU_BACKENDS)[number];

export interface KernelConstants {
  /** Integers, which index arithmetic needs as such. */
  integers?: Record<string, number>;
  /** Any other numbers. */
  reals?: Record<string, number>;
  /** Up to three dimensions, on the device for good: it is the way to keep weights on every backend. */
  tables?: Record<string, Tensor>;
  /** A thread returns so many numbers, which are the last dimension of the result, instead of one. */
  components?: 2 | 3 | 4;
  /** Every call has arguments and result of the same shapes, so the host's copies of the tables can go. */
  fixed?: boolean;
  /** Worth several threads on `webasm`, which give each such kernel a pool of its own. */
  threads?: boolean;
}

/** Has GPU.js make a kernel, which it compiles when it is first called. */
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
    dynamicArguments: backend !== 'cpu', // there it takes the strides of tables from the output
    loopMaxIterations: 1e9, // GPU.js ends loops of 1,000 rounds in silence
    ...(threads && backend === 'webasm' ? { asyncMode: true } : {}),
  });
  // else GPU.js would wrap every row in an object of its own
  if (backend === 'webasm') shortcut.kernel._shapeOutput = (data) => data;
  return shortcut;
}

/**
 * Lets go of the host's copies of tables that the device holds, once it does.
 *
 * @throws DeviceError if GPU.js ran the kernel on another backend, which it does in silence.
 */
export function afterFirst(
  backend: GpuBackend,
  { Input }: GpuJs,
  { kernel, fallbackReason }: KernelShortcut,
  fixed: boolean,
): void {
  const mode = modeOf(kernel);
  if (mode !== backend) {
    throw new DeviceError(
      `${backend}: GPU.js ran a kernel on ${mode} instead: ${fallbackReason ?? 'it gives no reason'}`,
    );
  }
  if (backend !== 'webgpu' && !(backend === 'webasm' && fixed)) return;
  for (const constant of Object.values(kernel.constants)) {
    if (constant instanceof Input) constant.value = new Float32Array(0);
  }
}

/** Both WebGL backends of GPU.js call themselves `gpu`; their contexts tell which it is. */
function modeOf({ constructor: { mode }, context }: KernelShortcut['kernel']): string {
  if (mode !== 'gpu') return mode ?? 'something unnamed';
  return context?.constructor.name === 'WebGL2RenderingContext' ? 'webgl2' : 'webgl';
}
