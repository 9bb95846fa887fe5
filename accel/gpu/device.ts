import { DeviceError } from '../errors.js';
import { messageOf, ShapeError } from '../../reference/lib/errors.js';
import { show, sizeOf, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { GpuInstance, GpuJs, KernelFunction, KernelShortcut, WebGL2Context, WebGpuContext } from './gpujs.js';
import { Mutex } from '../mutex.js';
import { compile, finishFirstCall, type GpuBackend, type KernelConstants } from './compile.js';
import { recorderOf, type Recorder } from './recorder.js';
import { hostStorage, outputOf, webGlStorage, webGpuStorage, type Storage } from './storage.js';

export { GPU_BACKENDS, type GpuBackend } from './compile.js';

/** A tensor on a device, row-major as on the host. */
export interface DeviceTensor {
  readonly shape: readonly number[];
  /** GPU.js's own object for it, which only {@link Device} uses. */
  readonly handle: unknown;
}

/**
 * A compiled kernel: computes a tensor of the given shape from tensors and integers. GPU.js's `thread.x` is the index of
 * the last dimension, `thread.y` of the second last, `thread.z` of the third last.
 */
export type Kernel = (shape: readonly number[], ...args: readonly (DeviceTensor | number)[]) => Promise<DeviceTensor>;

/**
 * An open GPU.js backend: compiles kernels and owns tensors. {@link openDevice} opens one.
 *
 * {@link scope} frees the tensors allocated inside it, so the ops free nothing themselves.
 */
export class Device {
  readonly backend: GpuBackend;
  /** The hardware, as its driver describes it. */
  readonly adapter: string;
  /** Whether the GPU is emulated on the CPU. */
  readonly software: boolean;
  #disposed = false;
  readonly #gpujs: GpuJs;
  readonly #gpu: GpuInstance;
  readonly #context: WebGpuContext | null;
  readonly #releaseContext: () => Promise<void>;
  /** For webgpu, where all open devices share one recorder and its list of driver errors. */
  readonly #recorder: Recorder | null;
  readonly #faultsBefore: number;
  /** For webgl2. */
  readonly #gl: WebGL2Context | null;
  readonly #storage: Storage<unknown>;
  readonly #kernels: KernelShortcut[] = [];
  readonly #scopes: Set<DeviceTensor>[] = [];
  /** Tensors not freed yet. */
  readonly #held = new Set<DeviceTensor>();
  #launches = 0;
  readonly #mutex = new Mutex();

  /** @param releaseContext called once, when the device is disposed of */
  constructor(
    backend: GpuBackend,
    gpujs: GpuJs,
    context: WebGpuContext | null,
    releaseContext: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.backend = backend;
    this.#gpujs = gpujs;
    this.#gpu = new gpujs.GPU({ mode: backend });
    this.#context = context;
    this.#releaseContext = releaseContext;
    this.#recorder = context && recorderOf(context.device);
    this.#faultsBefore = this.#recorder?.faults.length ?? 0;
    this.#gl = backend === 'webgl2' ? this.#openWebGl() : null;
    this.#storage = this.#openStorage();
    this.adapter = this.#describe();
    this.software = /swiftshader|llvmpipe|softpipe|basic render/i.test(this.adapter);
  }

  /** Number of parts in the sum of a row. GPUs have thousands of threads, so there each part gets its own. */
  get parts(): number {
    return this.backend === 'webgpu' || this.backend === 'webgl2' ? 32 : 1;
  }

  /** Number of tensors not freed yet. */
  get live(): number {
    return this.#held.size;
  }

  /** Number of kernels launched so far. */
  get launches(): number {
    return this.#launches;
  }

  /** Makes a kernel, which the first call compiles. */
  kernel(body: KernelFunction | string, constants: KernelConstants = {}): Kernel {
    const name = /^function (\w+)/.exec(String(body))?.[1] ?? 'kernel';
    const { components, fixed = false } = constants;
    const threadsOf = (shape: readonly number[]): number[] => outputOf(components ? shape.slice(0, -1) : shape);
    let pending: KernelConstants | null = constants; // dropped after the first call, to free the host's tables
    let shortcut: KernelShortcut | null = null;
    let signature = '';
    return async (shape, ...args) => {
      const handles = args.map((arg) => (typeof arg === 'number' ? arg : arg.handle));
      const values = handles.map((it) => (typeof it === 'number' ? it : (this.#storage.argument?.(it) ?? it)));
      const tensors = args.filter((arg) => typeof arg !== 'number');
      const shapes = [shape, ...tensors.map((x) => x.shape)].map(show).join();
      const isFirstCall = pending !== null;
      if (pending) {
        shortcut = this.#create(body, pending, this.#typesOf(handles), threadsOf(shape));
        signature = shapes;
        pending = null;
      } else if (fixed && shapes !== signature) {
        throw new ShapeError(`${name}: made for ${signature}, got ${shapes}`);
      }
      const call = shortcut!;
      this.#launches++;
      return this.#attempt(name, shape, async () => {
        call.setOutput(threadsOf(shape));
        const result = await call(...values);
        if (isFirstCall) finishFirstCall(this.backend, this.#gpujs, call, fixed);
        return this.#storage.adopt(result, shape);
      });
    };
  }

  /** Copies a tensor to the device. */
  upload(x: Float32Tensor): Promise<DeviceTensor> {
    return this.#attempt('an upload', x.shape, () => this.#storage.upload(x.data, x.shape));
  }

  /** Copies a tensor to the host, after all earlier calls have finished. */
  async read({ handle, shape }: DeviceTensor): Promise<Float32Tensor> {
    this.#check();
    try {
      const data = await this.#storage.read(handle, shape);
      this.#check(); // errors of the kernels that computed these numbers are known by now
      return tensor(shape, data);
    } catch (error) {
      throw this.#asDeviceError('reading', error);
    }
  }

  /** Rows `start` to `end` (exclusive) of a matrix. */
  rows(x: DeviceTensor, start: number, end: number): Promise<DeviceTensor> {
    const [, width] = x.shape;
    return this.#attempt('a copy', [end - start, width], () => this.#storage.rows(x.handle, width, start, end));
  }

  /** Writes `count` rows of a matrix, from row `first` on, into another at row `start`. The result replaces `target`. */
  async write(
    target: DeviceTensor,
    source: DeviceTensor,
    start: number,
    { first = 0, count = source.shape[0] - first }: { first?: number; count?: number } = {},
  ): Promise<DeviceTensor> {
    const [capacity, width] = target.shape;
    const written = await this.#attempt('a copy', target.shape, () =>
      this.#storage.write(target.handle, capacity, source.handle, first, count, width, start),
    );
    this.#forget(target);
    return written;
  }

  /** The same elements in another shape; the result replaces `x`. */
  reshape(x: DeviceTensor, shape: readonly number[]): DeviceTensor {
    if (sizeOf(shape) !== sizeOf(x.shape)) throw new ShapeError(`reshape: ${show(x.shape)} is not ${show(shape)}`);
    this.#forget(x);
    return this.#hold(this.#storage.reshape(x.handle, shape), shape);
  }

  /** Runs `body` and frees every tensor allocated inside it except its result. */
  async scope<Result extends DeviceTensor | readonly DeviceTensor[] | null>(
    body: () => Promise<Result>,
  ): Promise<Result> {
    const allocated = new Set<DeviceTensor>();
    this.#scopes.push(allocated);
    let kept: readonly DeviceTensor[] = [];
    try {
      const result = await body();
      kept = result === null ? [] : [result].flat();
      return result;
    } finally {
      this.#scopes.pop();
      for (const x of kept) {
        if (allocated.delete(x)) this.#scopes.at(-1)?.add(x);
      }
      for (const x of allocated) this.free(x);
    }
  }

  /** Takes a tensor out of its scope. The caller must free it. */
  keep(x: DeviceTensor): DeviceTensor {
    for (const scope of this.#scopes) scope.delete(x);
    return x;
  }

  free(x: DeviceTensor): void {
    if (!this.#held.has(x)) return; // the device has been disposed of
    this.#forget(x);
    this.#storage.free(x.handle);
  }

  /** Runs one body at a time, so that sessions can share a device. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(body);
  }

  /** Waits for running calls, then frees all tensors, and the kernels with their tables and threads. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#mutex.run(() => Promise.resolve());
    for (const x of this.#held) this.free(x);
    for (const shortcut of this.#kernels) shortcut.destroy();
    await this.#gpu.destroy();
    await this.#releaseContext();
  }

  #openStorage(): Storage<never> {
    if (this.#context) return webGpuStorage(this.#gpujs, this.#context) as Storage<never>;
    if (this.backend === 'webasm' || this.backend === 'cpu') {
      return hostStorage(this.backend, this.#gpujs) as Storage<never>;
    }
    return webGlStorage(this.#gpujs, (body) => {
      let shortcut: KernelShortcut | null = null;
      return async (shape, ...args) => {
        shortcut ??= this.#create(body, {}, this.#typesOf(args), outputOf(shape));
        shortcut.setOutput(outputOf(shape));
        return (await shortcut(...args)) as never;
      };
    }) as Storage<never>;
  }

  #typesOf(values: readonly unknown[]): string[] {
    return values.map((value) => {
      if (typeof value === 'number') return 'Integer';
      return value instanceof this.#gpujs.Input ? 'Input' : this.#storage.typeOf(value);
    });
  }

  #create(
    body: KernelFunction | string,
    constants: KernelConstants,
    types: string[],
    output: number[],
  ): KernelShortcut {
    const shortcut = compile(this.backend, this.#gpujs, this.#gpu, body, constants, types, output);
    this.#kernels.push(shortcut);
    return shortcut;
  }

  /** Makes a tensor. Every error becomes a {@link DeviceError} of one line. */
  async #attempt(what: string, shape: readonly number[], make: () => unknown): Promise<DeviceTensor> {
    this.#check();
    try {
      return this.#hold(await make(), shape);
    } catch (error) {
      throw this.#asDeviceError(what, error);
    }
  }

  #asDeviceError(what: string, error: unknown): DeviceError {
    if (error instanceof DeviceError) return error;
    const lost = this.#lost();
    if (lost) return lost;
    return new DeviceError(`${this.backend}: ${what} failed: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }

  #check(): void {
    const lost = this.#lost();
    if (lost) throw lost;
    if (this.#disposed) throw new DeviceError(`${this.backend}: the model has been disposed of; open it again`);
    const fault = this.#recorder?.faults[this.#faultsBefore];
    if (fault !== undefined) throw new DeviceError(`${this.backend}: ${fault}`);
  }

  #lost(): DeviceError | null {
    if (!this.#context?.isLost && !this.#gl?.isContextLost()) return null;
    return new DeviceError(`${this.backend}: the device was lost; open the model again`);
  }

  #hold(handle: unknown, shape: readonly number[]): DeviceTensor {
    const x = { handle, shape };
    this.#held.add(x);
    this.#scopes.at(-1)?.add(x);
    return x;
  }

  #forget(x: DeviceTensor): void {
    this.#held.delete(x);
    for (const scope of this.#scopes) scope.delete(x);
  }

  #describe(): string {
    if (this.backend === 'cpu') return 'JavaScript';
    if (this.backend === 'webasm') return 'WebAssembly';
    if (this.#context) {
      const { vendor, architecture, device, description } = this.#context.adapter.info;
      return [...new Set([vendor, architecture, device, description])].filter((word) => word !== '').join(' ');
    }
    const names = this.#gl?.getExtension('WEBGL_debug_renderer_info');
    return String(this.#gl?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : this.#gl.RENDERER));
  }

  /** GPU.js creates the context that all kernels share with the first kernel. */
  #openWebGl(): WebGL2Context | null {
    return this.#gpu.createKernel('function idle() { return 0; }', { output: [1] }).kernel.context ?? null;
  }
}
