/**
 * Types for the parts of GPU.js and WebGPU that this project uses. GPU.js has no types for its newer backends, and
 * TypeScript's WebGPU types require the whole DOM.
 */

/** A kernel: GPU.js compiles its source, and TypeScript checks its types. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- every kernel has arguments and constants of its own
export type KernelFunction = (this: any, ...args: any[]) => number | number[];

/** `this` inside a kernel: the index of the output element, and the constants. */
export interface Thread<Constants = unknown> {
  thread: { x: number; y: number; z: number };
  constants: Constants;
}

/** GPU.js's wrapper for flat data with dimensions [x, y, z]. */
export interface Input {
  value: Float32Array;
  size: number[];
}

/** A kernel as `createKernel` returns it. */
export interface KernelShortcut {
  (...args: unknown[]): unknown;
  setOutput(output: number[]): void;
  destroy(): void;
  fallbackReason?: string;
  kernel: {
    constructor: { mode?: string };
    constants: Record<string, unknown>;
    context?: WebGL2Context;
    _shapeOutput?: (data: Float32Array) => unknown;
  };
}

export interface GpuInstance {
  createKernel(source: KernelFunction | string, settings: Record<string, unknown>): KernelShortcut;
  destroy(): Promise<void>;
}

export interface GpuJs {
  GPU: {
    new (settings: { mode: string }): GpuInstance;
    isWebGL2Supported: boolean;
  };
  Input: new (value: Float32Array, size: number[]) => Input;
  WebGPUContext: { acquire(): Promise<WebGpuContext>; destroy(): Promise<void> };
  WebGPUBufferResult: new (settings: {
    buffer: GpuBuffer;
    output: number[];
    context: WebGpuContext;
    kernel: unknown;
  }) => BufferHandle;
}

/** GPU.js's handle of a WebGPU buffer. */
export interface BufferHandle {
  buffer: GpuBuffer;
  output: number[];
  delete(): void;
}

/** GPU.js's handle of a WebGL texture. */
export interface TextureHandle {
  type: string;
  /** The dimensions of the arrays that `toArray` returns. */
  output: number[];
  /** The dimensions that kernels see. */
  dimensions: number[];
  context: WebGL2Context;
  toArray(): Float32Array[][];
  delete(): void;
}

export interface WebGpuContext {
  adapter: GpuAdapter;
  device: GpuDevice;
  isLost: boolean;
}

export interface GpuAdapter {
  info: { vendor: string; architecture: string; device: string; description: string };
  isFallbackAdapter?: boolean;
}

export interface GpuBuffer {
  size: number;
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

// values of GPUBufferUsage and GPUMapMode.READ, which are undefined where there is no WebGPU
export const MAP_READ = 0x1;
export const COPY_SRC = 0x4;
export const COPY_DST = 0x8;
export const UNIFORM = 0x40;
export const STORAGE = 0x80;

export interface GpuBufferSettings {
  size: number;
  usage: number;
  mappedAtCreation?: boolean;
}

export interface GpuLayoutSettings {
  entries: { buffer: { type: string; hasDynamicOffset?: boolean } }[];
}

export interface GpuBindGroupSettings {
  layout: object;
  entries: { binding: number; resource: { buffer: GpuBuffer; size?: number } }[];
}

export interface GpuComputePass {
  setPipeline(pipeline: object): void;
  setBindGroup(index: number, group: object, offsets?: number[]): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
  end(): void;
}

export interface GpuCommandEncoder {
  beginComputePass(): GpuComputePass;
  copyBufferToBuffer(from: GpuBuffer, fromByte: number, to: GpuBuffer, toByte: number, bytes: number): void;
  finish(): object;
}

export interface GpuDevice {
  limits: { maxBufferSize: number; maxStorageBufferBindingSize: number };
  queue: {
    writeBuffer(buffer: GpuBuffer, offset: number, data: Float32Array | Uint8Array | ArrayBuffer): void;
    submit(commands: object[]): void;
  };
  onuncapturederror: ((event: { error: { message: string } }) => void) | null;
  createBuffer(settings: GpuBufferSettings): GpuBuffer;
  createBindGroupLayout(settings: GpuLayoutSettings): object;
  createBindGroup(settings: GpuBindGroupSettings): object;
  createCommandEncoder(): GpuCommandEncoder;
}

export interface WebGL2Context {
  RENDERER: number;
  NO_ERROR: number;
  OUT_OF_MEMORY: number;
  getError(): number;
  getExtension(name: string): { UNMASKED_RENDERER_WEBGL: number } | null;
  getParameter(name: number): unknown;
  isContextLost(): boolean;
}
