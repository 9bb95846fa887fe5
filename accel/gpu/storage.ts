import { DeviceError } from '../errors.js';
import { sizeOf } from '../../reference/lib/tensor.js';
import {
  COPY_DST,
  COPY_SRC,
  MAP_READ,
  STORAGE,
  type BufferHandle,
  type GpuBuffer,
  type GpuJs,
  type KernelFunction,
  type TextureHandle,
  type Thread,
  type WebGpuContext,
} from './gpujs.js';

/**
 * Allocates and moves tensors on one backend. A handle is the backend's object for a tensor. Data is row-major, and the
 * shape [z, y, x] is GPU.js's output [x, y, z].
 */
export interface Storage<Handle> {
  /** GPU.js's name for a handle's type. */
  typeOf(handle: Handle): string;
  /** The argument that kernels take for a handle. Without this method, kernels take the handle itself. */
  argument?(handle: Handle): unknown;
  upload(data: Float32Array, shape: readonly number[]): Handle | Promise<Handle>;
  /** The handle for a kernel's result. */
  adopt(result: unknown, shape: readonly number[]): Handle;
  read(handle: Handle, shape: readonly number[]): Promise<Float32Array>;
  /** Rows `start` to `end` of a matrix [rows, width]. */
  rows(handle: Handle, width: number, start: number, end: number): Handle | Promise<Handle>;
  /** Writes `count` rows of `source`, from row `first` on, into `target` [capacity, width] at row `start`. The result replaces `target`. */
  write(
    target: Handle,
    capacity: number,
    source: Handle,
    first: number,
    count: number,
    width: number,
    start: number,
  ): Handle | Promise<Handle>;
  /** The same elements in another shape. The result replaces the old handle. */
  reshape(handle: Handle, shape: readonly number[]): Handle;
  free(handle: Handle): void;
}

/** GPU.js's output for a shape: three dimensions, the last dimension of the shape first. */
export function outputOf(shape: readonly number[]): number[] {
  return [...shape].reverse().concat(1, 1).slice(0, 3);
}

/** A tensor in host memory. */
interface HostArray {
  data: Float32Array;
  shape: readonly number[];
}

/** `webasm`, `cpu`: a handle is an array in host memory. */
export function hostStorage(backend: 'webasm' | 'cpu', { Input: GpuJsInput }: GpuJs): Storage<HostArray> {
  return {
    typeOf: () => (backend === 'cpu' ? 'Array' : 'Input'),
    // On cpu, GPU.js can take wrong strides for an Input: those of the first call or of the output. Nested arrays have none.
    argument: ({ data, shape }) => (backend === 'cpu' ? nested(data, shape) : new GpuJsInput(data, outputOf(shape))),
    upload: (data, shape) => ({ data, shape }),
    adopt: (result, shape) => ({
      data: result instanceof Float32Array ? result : flat(result as Layers, shape),
      shape,
    }),
    read: ({ data }) => Promise.resolve(data.slice()),
    rows: ({ data }, width, start, end) => ({
      data: data.subarray(start * width, end * width),
      shape: [end - start, width],
    }),
    write(target, _capacity, source, first, count, width, start) {
      target.data.set(source.data.subarray(first * width, (first + count) * width), start * width);
      return target;
    },
    reshape: ({ data }, shape) => ({ data, shape }),
    free: () => undefined, // the garbage collector frees arrays
  };
}

/** GPU.js's result for three dimensions: arrays of rows. */
type Layers = Float32Array[][];

function flat(layers: Layers, shape: readonly number[]): Float32Array {
  const [width] = outputOf(shape);
  const data = new Float32Array(sizeOf(shape));
  layers.flat().forEach((row, i) => {
    data.set(row, i * width);
  });
  return data;
}

/** The data as nested arrays, one level for each dimension. The rows are views. */
function nested(data: Float32Array, shape: readonly number[]): unknown {
  if (shape.length === 1) return data;
  const inner = shape.slice(1);
  const size = sizeOf(inner);
  return Array.from({ length: shape[0] }, (_, i) => nested(data.subarray(i * size, (i + 1) * size), inner));
}

/** `webgpu`: a handle is a GPU buffer. */
export function webGpuStorage({ WebGPUBufferResult }: GpuJs, context: WebGpuContext): Storage<BufferHandle> {
  const { device } = context;

  function allocate(shape: readonly number[]): BufferHandle {
    const size = 4 * sizeOf(shape);
    const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    if (size > limit) {
      throw new DeviceError(`webgpu: a buffer of ${size} bytes exceeds this device's limit of ${limit}`);
    }
    const buffer = device.createBuffer({ size: Math.max(size, 4), usage: STORAGE | COPY_SRC | COPY_DST });
    return new WebGPUBufferResult({ buffer, output: outputOf(shape), context, kernel: null });
  }
  function copy(from: GpuBuffer, fromRow: number, to: GpuBuffer, toRow: number, count: number, width: number): void {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 4 * width * fromRow, to, 4 * width * toRow, 4 * width * count);
    device.queue.submit([encoder.finish()]);
  }

  return {
    typeOf: () => 'WebGPUBuffer',
    upload(data, shape) {
      const handle = allocate(shape);
      device.queue.writeBuffer(handle.buffer, 0, data);
      return handle;
    },
    adopt: (result) => result as BufferHandle,
    async read(handle, shape) {
      const bytes = 4 * sizeOf(shape);
      const staging = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
      try {
        copy(handle.buffer, 0, staging, 0, 1, bytes / 4);
        await staging.mapAsync(MAP_READ);
        return new Float32Array(staging.getMappedRange().slice(0));
      } finally {
        staging.destroy();
      }
    },
    rows(handle, width, start, end) {
      const part = allocate([end - start, width]);
      copy(handle.buffer, start, part.buffer, 0, end - start, width);
      return part;
    },
    write(target, _capacity, source, first, count, width, start) {
      copy(source.buffer, first, target.buffer, start, count, width);
      return target;
    },
    reshape(handle, shape) {
      handle.output = outputOf(shape);
      return handle;
    },
    free: (handle) => {
      handle.delete();
    },
  };
}

/** Compiles one of the kernels that move data in {@link webGlStorage}. */
export type MoveKernel = (
  body: KernelFunction,
) => (shape: readonly number[], ...args: unknown[]) => Promise<TextureHandle>;

/**
 * `webgl2`: a handle is a texture. GPU.js cannot copy a part of a texture, so kernels move the data. A shader cannot write
 * to a texture that it reads, so every write allocates a new texture.
 */
export function webGlStorage({ Input: HostInput }: GpuJs, kernel: MoveKernel): Storage<TextureHandle> {
  const identity = kernel(identityKernel);
  const rowsFrom = kernel(rowsKernel);
  const writeInto = kernel(writeKernel);
  return {
    typeOf: ({ type }) => type,
    async upload(data, shape) {
      // as one row, whose texture GPU.js makes square; a matrix would take its own width and height
      const row = await identity([data.length], new HostInput(data, outputOf([data.length])));
      return this.reshape(row, shape);
    },
    adopt: (result) => result as TextureHandle,
    read(handle, shape) {
      const data = flat(handle.toArray(), shape);
      const { context: gl } = handle;
      const code = gl.getError();
      if (code === gl.OUT_OF_MEMORY) throw new DeviceError('webgl2: out of memory');
      if (code !== gl.NO_ERROR) throw new DeviceError(`webgl2: error ${code}`);
      return Promise.resolve(data);
    },
    rows: (handle, width, start, end) => rowsFrom([end - start, width], handle, start),
    async write(target, capacity, source, first, count, width, start) {
      const whole = await writeInto([capacity, width], target, source, first, count, start);
      target.delete();
      return whole;
    },
    reshape(handle, shape) {
      handle.output = outputOf(shape);
      handle.dimensions = outputOf(shape);
      return handle;
    },
    free: (handle) => {
      handle.delete();
    },
  };
}

function identityKernel(this: Thread, x: number[][][]): number {
  return x[this.thread.z][this.thread.y][this.thread.x];
}

function rowsKernel(this: Thread, x: number[][], start: number): number {
  return x[this.thread.y + start][this.thread.x];
}

function writeKernel(
  this: Thread,
  target: number[][],
  source: number[][],
  first: number,
  count: number,
  start: number,
): number {
  let value = target[this.thread.y][this.thread.x];
  if (this.thread.y >= start && this.thread.y < start + count)
    value = source[this.thread.y - start + first][this.thread.x];
  return value;
}
