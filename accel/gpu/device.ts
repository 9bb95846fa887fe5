import { DeviceError } from '../errors.js';
import { messageOf, ShapeError } from '../../reference/lib/errors.js';
import { show, sizeOf, tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { GpuInstance, GpuJs, KernelFunction, KernelShortcut, WebGL2Context, WebGpuContext } from './gpujs.js';
import { Mutex } from '../mutex.js';
import { afterFirst, compile, type GpuBackend, type KernelConstants } from './compile.js';
import { recorderOf, type Recorder } from './recorder.js';
import { hostStorage, outputOf, webGlStorage, webGpuStorage, type Storage } from './storage.js';

export { GPU_BACKENDS, type GpuBackend } from './compile.js';

/** A tensor on a device: row-major, as on the host. */
export interface DeviceTensor {
  readonly shape: readonly number[];
  /** What GPU.js knows it by; only {@link Device} looks inside. */
  readonly handle: unknown;
}

/**
 * A compiled kernel: computes a tensor of the given shape from tensors and integers. GPU.js's `thread.x` runs over the
 * last dimension, `y` over the one before, `z` over the one before that.
 */
export type Kernel = (shape: readonly number[], ...args: readonly (DeviceTensor | number)[]) => Promise<DeviceTensor>;

/**
 * A GPU.js backend, opened: compiles kernels, keeps tensors. The only file that imports gpu.js and webgpu is this one.
 *
 * Tensors made inside of {@link scope} are freed when it ends, so the ops need not think of it.
 */
export class Device {
  readonly backend: GpuBackend;
  /** What computes, in the words of its driver. */
  readonly adapter: string;
  /** It is a program on the CPU that plays a GPU. */
  readonly software: boolean;
  #disposed = false;
  readonly #gpujs: GpuJs;
  readonly #gpu: GpuInstance;
  readonly #context: WebGpuContext | null;
  /** Of webgpu, whose device all that are open share, with what its driver finds fault with. */
  readonly #recorder: Recorder | null;
  readonly #faultsBefore: number;
  /** Of webgl2. */
  readonly #gl: WebGL2Context | null;
  readonly #storage: Storage<unknown>;
  readonly #kernels: KernelShortcut[] = [];
  readonly #scopes: Set<DeviceTensor>[] = [];
  #live = 0;
  readonly #mutex = new Mutex();

  constructor(backend: GpuBackend, gpujs: GpuJs, context: WebGpuContext | null) {
    this.backend = backend;
    this.#gpujs = gpujs;
    this.#gpu = new gpujs.GPU({ mode: backend });
    this.#context = context;
    this.#recorder = context && recorderOf(context.device);
    this.#faultsBefore = this.#recorder?.faults.length ?? 0;
    this.#gl = backend === 'webgl2' ? this.#openWebGl() : null;
    this.#storage = this.#openStorage();
    this.adapter = this.#describe();
    this.software = /swiftshader|llvmpipe|softpipe|basic render/i.test(this.adapter);
  }

  /** Into how many parts a sum over a row is split, which threads take side by side where there are thousands. */
  get parts(): number {
    return this.backend === 'webgpu' || this.backend === 'webgl2' ? 32 : 1;
  }

  /** Tensors on the device that nobody has freed yet. */
  get live(): number {
    return this.#live;
  }

  /** Compiles a kernel when it is first called. */
  kernel(body: KernelFunction | string, constants: KernelConstants = {}): Kernel {
    const name = /^function (\w+)/.exec(String(body))?.[1] ?? 'kernel';
    const { components, fixed = false } = constants;
    const threadsOf = (shape: readonly number[]): number[] => outputOf(components ? shape.slice(0, -1) : shape);
    let recipe: KernelConstants | null = constants; // dropped once used: it holds the host's copies of the tables
    let shortcut: KernelShortcut | null = null;
    let signature = '';
    return async (shape, ...args) => {
      const handles = args.map((arg) => (typeof arg === 'number' ? arg : arg.handle));
      const values = handles.map((it) => (typeof it === 'number' ? it : (this.#storage.argument?.(it) ?? it)));
      const shapes = [shape, ...args.flatMap((arg) => (typeof arg === 'number' ? [] : [arg.shape]))].map(show).join();
      const made = recipe;
      if (made) {
        shortcut = this.#create(body, made, this.#typesOf(handles), threadsOf(shape));
        signature = shapes;
        recipe = null;
      } else if (fixed && shapes !== signature) {
        throw new ShapeError(`${name}: made for ${signature}, got ${shapes}`);
      }
      const call = shortcut!;
      return this.#attempt(name, shape, async () => {
        call.setOutput(threadsOf(shape));
        const result = await call(...values);
        if (made) afterFirst(this.backend, this.#gpujs, call, fixed);
        return this.#storage.adopt(result, shape);
      });
    };
  }

  /** Copies a tensor to the device. */
  upload(x: Tensor): Promise<DeviceTensor> {
    return this.#attempt('an upload', x.shape, () => this.#storage.upload(x.data, x.shape));
  }

  /** Copies a tensor to the host, after all that was asked for before is done. */
  async read({ handle, shape }: DeviceTensor): Promise<Tensor> {
    this.#check();
    try {
      const data = await this.#storage.read(handle, shape);
      this.#check(); // what went wrong on the way to these numbers is known by now
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

  /** Puts the rows of a matrix into another from row `start` on. The result replaces `target`. */
  async write(target: DeviceTensor, source: DeviceTensor, start: number): Promise<DeviceTensor> {
    const [capacity, width] = target.shape;
    const written = await this.#attempt('a copy', target.shape, () =>
      this.#storage.write(target.handle, capacity, source.handle, source.shape[0], width, start),
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

  /** Runs `body` and frees all that it made, but for what it returns. */
  async scope<Result extends DeviceTensor | readonly DeviceTensor[] | null>(
    body: () => Promise<Result>,
  ): Promise<Result> {
    const made = new Set<DeviceTensor>();
    this.#scopes.push(made);
    let kept: readonly DeviceTensor[] = [];
    try {
      const result = await body();
      kept = result === null ? [] : [result].flat();
      return result;
    } finally {
      this.#scopes.pop();
      for (const x of kept) {
        if (made.delete(x)) this.#scopes.at(-1)?.add(x);
      }
      for (const x of made) this.free(x);
    }
  }

  /** Takes a tensor out of the scope it was made in; whoever keeps it frees it. */
  keep(x: DeviceTensor): DeviceTensor {
    for (const made of this.#scopes) made.delete(x);
    return x;
  }

  free(x: DeviceTensor): void {
    this.#forget(x);
    this.#storage.free(x.handle);
  }

  /** One caller after the other: sessions that share a device wait for their turn. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(body);
  }

  /** Frees kernels, their tables and their threads. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#mutex.run(() => Promise.resolve());
    for (const shortcut of this.#kernels) shortcut.destroy();
    await this.#gpu.destroy();
    // With a device left, Node would wait for it forever.
    if (this.#context && --webGpuDevices === 0) await this.#gpujs.WebGPUContext.destroy();
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

  /** Has the device make a tensor; whatever it throws becomes one clear line. */
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
    this.#live++;
    this.#scopes.at(-1)?.add(x);
    return x;
  }

  #forget(x: DeviceTensor): void {
    this.#live--;
    for (const made of this.#scopes) made.delete(x);
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

  /** The context that all kernels share comes with the first of them. */
  #openWebGl(): WebGL2Context | null {
    return this.#gpu.createKernel('function idle() { return 0; }', { output: [1] }).kernel.context ?? null;
  }
}

/** How many {@link Device}s share the one context of WebGPU that GPU.js has. */
let webGpuDevices = 0;

/**
 * Opens a backend of GPU.js.
 *
 * @throws DeviceError if it is not there, with what would help.
 */
export async function openDevice(backend: GpuBackend): Promise<Device> {
  const gpujs = await importGpuJs();
  if (backend === 'webgl2' && !('document' in globalThis && gpujs.GPU.isWebGL2Supported)) {
    throw new DeviceError('webgl2: there is no WebGL 2 here; it takes a browser with a working graphics driver');
  }
  if (backend !== 'webgpu') return new Device(backend, gpujs, null);
  await defineNavigatorGpu();
  try {
    const context = await gpujs.WebGPUContext.acquire();
    const device = new Device(backend, gpujs, context);
    webGpuDevices++; // only now: dispose() of a device counts it down, and a constructor that throws leaves none
    return device;
  } catch (error) {
    if (webGpuDevices === 0) await gpujs.WebGPUContext.destroy();
    const [line] = messageOf(error).split('\n');
    const why = line.includes('no adapter') ? 'no adapter; there is no GPU here that WebGPU can use' : line;
    throw new DeviceError(`webgpu: ${why}`, { cause: error });
  }
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

/** Node has no WebGPU of its own; the package webgpu is Google's Dawn. */
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

/** Not spelled out in the import, so that bundlers for browsers leave it alone. */
const NODE_WEBGPU = 'webgpu';

interface WebGpuPackage {
  create: (flags: string[]) => unknown;
  globals: Record<string, unknown>;
}
