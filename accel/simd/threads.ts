import { DeviceError, messageOf } from '../../src/errors.js';
import { BINARY } from './binary.js';
import type { SimdMemory } from './memory.js';
import { WebAssembly, type WasmMemory, type WasmModule } from './webAssembly.js';

/** What all threads look at; assembly/threads.ts has the same addresses. */
const ORDERED = 0;
const STOP = 1;
const PLAN = 4;

/** A worker of Node or of a browser. */
interface WorkerHandle {
  /** Whether the process has to wait for it. */
  hold(held: boolean): void;
  terminate(): unknown;
}

/** What workers tell. */
interface Listener {
  onDone: () => void;
  onFault: (message: string) => void;
}

/** What a worker is given. */
interface Start {
  module: WasmModule;
  memory: WasmMemory;
  thread: number;
  threads: number;
}

/** The whole program of a worker; it is asleep in `work` until a plan is ordered. */
const PROGRAM = `
function start({ module, memory, thread, threads }, post) {
  const env = { memory, done: () => post('done') };
  new WebAssembly.Instance(module, { env }).exports.work(thread, threads);
}
`;
const NODE_PROGRAM = `${PROGRAM}
const { parentPort, workerData } = require('node:worker_threads');
start(workerData, (message) => parentPort.postMessage(message));
`;
const WEB_PROGRAM = `${PROGRAM}
onmessage = ({ data }) => start(data, postMessage);
`;

/**
 * Runs plans (plan.ts) on several threads, or on the caller's own where there is one or memory cannot be shared. Threads
 * sleep while there is nothing to do, and do not keep Node from ending.
 */
export class Threads {
  readonly count: number;
  readonly #memory: SimdMemory;
  readonly #workers: WorkerHandle[] = [];
  readonly #alone: ((plan: number) => void) | null = null;
  #running: { resolve: () => void; reject: (error: DeviceError) => void } | null = null;
  #fault: DeviceError | null = null;

  private constructor(memory: SimdMemory, count: number, module: WasmModule) {
    this.#memory = memory;
    this.count = count;
    if (count > 1) return;
    const env = { memory: memory.wasm, done: () => undefined };
    const { runAlone } = new WebAssembly.Instance(module, { env }).exports;
    this.#alone = runAlone as (plan: number) => void;
  }

  /** @throws DeviceError if there is no SIMD here or a worker cannot be started. */
  static async start(memory: SimdMemory, count: number): Promise<Threads> {
    const module = await compile(memory.shared);
    const threads = new Threads(memory, memory.shared ? count : 1, module);
    for (let thread = 0; threads.count > 1 && thread < threads.count; thread++) {
      const start = { module, memory: memory.wasm, thread, threads: threads.count };
      try {
        threads.#workers.push(await startWorker(start, threads.#listener()));
      } catch (error) {
        threads.dispose();
        throw new DeviceError(`simd: a thread cannot be started: ${messageOf(error)}`, { cause: error });
      }
    }
    return threads;
  }

  /**
   * Runs the plan at an address; one at a time.
   *
   * @throws DeviceError if a thread fails, and ever after.
   */
  async run(plan: number): Promise<void> {
    if (this.#fault) throw this.#fault;
    if (this.#alone) {
      this.#alone(plan);
      return;
    }
    const words = new Int32Array(this.#memory.wasm.buffer, 0, PLAN + 1);
    const done = new Promise<void>((resolve, reject) => (this.#running = { resolve, reject }));
    for (const worker of this.#workers) worker.hold(true);
    Atomics.store(words, PLAN, plan);
    Atomics.add(words, ORDERED, 1);
    Atomics.notify(words, ORDERED);
    try {
      await done;
    } finally {
      this.#running = null;
      for (const worker of this.#workers) worker.hold(false);
    }
  }

  /** Ends the threads. */
  dispose(): void {
    this.#fault ??= new DeviceError('simd: its threads have ended; open the model again');
    this.#running?.reject(this.#fault);
    if (this.#memory.shared) {
      const words = new Int32Array(this.#memory.wasm.buffer, 0, PLAN + 1);
      Atomics.store(words, STOP, 1);
      Atomics.add(words, ORDERED, 1);
      Atomics.notify(words, ORDERED);
    }
    for (const worker of this.#workers) worker.terminate();
  }

  #listener(): Listener {
    return {
      onDone: () => this.#running?.resolve(),
      onFault: (message) => {
        this.#fault ??= new DeviceError(`simd: a thread died: ${message}; open the model again`);
        this.dispose();
      },
    };
  }
}

/** Modules once compiled serve every model. */
const modules = new Map<string, Promise<WasmModule>>();

function compile(shared: boolean): Promise<WasmModule> {
  const relaxed = hasRelaxedSimd();
  const name = `${relaxed ? 'relaxed' : 'plain'}${shared ? 'Shared' : ''}`;
  let module = modules.get(name);
  if (!module) {
    module = WebAssembly.compile(decode(BINARY[name])).catch((error: unknown) => {
      throw new DeviceError(`simd: WebAssembly SIMD is not supported here: ${messageOf(error)}`, { cause: error });
    });
    modules.set(name, module);
  }
  return module;
}

/** Whether multiplication and addition can be one instruction. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(decode(BINARY.relaxed));
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

async function startWorker(start: Start, { onDone, onFault }: Listener): Promise<WorkerHandle> {
  const { Worker: WebWorker } = globalThis as { Worker?: new (url: string) => WebWorkerLike };
  if (WebWorker) {
    const url = URL.createObjectURL(new Blob([WEB_PROGRAM], { type: 'text/javascript' }));
    const worker = new WebWorker(url);
    worker.onmessage = onDone;
    worker.onerror = ({ message }) => {
      onFault(message);
    };
    worker.postMessage(start);
    URL.revokeObjectURL(url);
    return {
      hold: () => undefined,
      terminate: () => {
        worker.terminate();
      },
    };
  }
  const { Worker } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ NODE_WORKERS)) as NodeWorkers;
  const worker = new Worker(NODE_PROGRAM, { eval: true, workerData: start });
  worker.on('message', onDone);
  worker.on('error', (error) => {
    onFault(messageOf(error));
  });
  worker.on('exit', () => {
    onFault('it ended');
  });
  worker.unref();
  return {
    hold: (held) => {
      if (held) worker.ref();
      else worker.unref();
    },
    terminate: () => worker.terminate(),
  };
}

/** Not spelled out in the import, so that bundlers for browsers leave it alone. */
const NODE_WORKERS = 'node:worker_threads';

interface NodeWorkers {
  Worker: new (program: string, options: { eval: true; workerData: Start }) => NodeWorkerLike;
}

interface NodeWorkerLike {
  on(event: 'message' | 'exit', listener: () => void): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

interface WebWorkerLike {
  onmessage: (() => void) | null;
  onerror: ((event: { message: string }) => void) | null;
  postMessage(message: Start): void;
  terminate(): void;
}
