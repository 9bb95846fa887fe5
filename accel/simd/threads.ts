import { messageOf } from '../../reference/lib/errors.js';
import { DeviceError } from '../errors.js';
import { SHARED_ORDERED, SHARED_PLAN, SHARED_STOP, SHARED_WORDS } from './constants.js';
import type { SimdMemory } from './memory.js';
import { compileKernels, instantiate } from './module.js';
import { planBytes, writePlan } from './plan.js';
import type { WasmModule } from './webAssembly.js';
import { startWorker, type WorkerHandle, type WorkerListener } from './worker.js';

/**
 * Runs plans (plan.ts) on several worker threads, or on the caller's thread if one is asked for, memory cannot be shared or
 * workers cannot start. Idle threads sleep and do not keep the Node process alive.
 */
export class Threads {
  readonly count: number;
  readonly relaxed: boolean;
  /** Why workers cannot start, if they were asked for; null otherwise. */
  readonly noWorkers: string | null;
  readonly #memory: SimdMemory;
  readonly #shared: number;
  readonly #workers: WorkerHandle[] = [];
  /** Runs a plan on the caller's thread; null if workers run it. */
  #runAlone: ((plan: number) => void) | null = null;
  #running: { resolve: () => void; reject: (error: DeviceError) => void } | null = null;
  #fault: DeviceError | null = null;
  /** What the first worker to die reported. */
  #death: string | null = null;

  private constructor(memory: SimdMemory, count: number, relaxed: boolean, noWorkers: string | null = null) {
    this.count = count;
    this.relaxed = relaxed;
    this.noWorkers = noWorkers;
    this.#memory = memory;
    this.#shared = memory.allocate(4 * SHARED_WORDS);
    memory.words(this.#shared, SHARED_WORDS).fill(0);
  }

  /**
   * Starts the threads and has them run an empty plan, because a browser reports only later that it forbids a worker.
   *
   * @throws DeviceError if WebAssembly SIMD is missing or forbidden.
   */
  static async start(memory: SimdMemory, count: number, relaxed: boolean): Promise<Threads> {
    const module = await compileKernels(memory.shared, relaxed);
    let noWorkers: string | null = null;
    if (memory.shared && count > 1) {
      const threads = new Threads(memory, count, relaxed);
      noWorkers = await threads.#startWorkers(module);
      if (noWorkers === null) return threads;
    }
    const threads = new Threads(memory, 1, relaxed, noWorkers);
    threads.#runAlone = instantiate(module, memory.wasm).runAlone;
    return threads;
  }

  /**
   * Runs the plan at an address. Only one plan may run at a time.
   *
   * @throws DeviceError if a thread dies, and for every plan after that.
   */
  async run(plan: number): Promise<void> {
    if (this.#fault) throw this.#fault;
    if (this.#runAlone) {
      this.#runHere(plan, this.#runAlone);
      return;
    }
    const done = new Promise<void>((resolve, reject) => {
      this.#running = { resolve, reject };
    });
    for (const worker of this.#workers) worker.hold(true);
    this.#signal(SHARED_PLAN, plan);
    try {
      await done;
    } finally {
      this.#running = null;
      for (const worker of this.#workers) worker.hold(false);
    }
  }

  /** Stops the threads. A running plan is rejected with DeviceError. */
  async dispose(): Promise<void> {
    if (this.#fault?.message === ENDED) return;
    await this.#end(new DeviceError(ENDED));
    this.#memory.free(this.#shared);
  }

  /** @returns null, or why the workers cannot start; then this object has been disposed */
  async #startWorkers(module: WasmModule): Promise<string | null> {
    const start = { module, memory: this.#memory.wasm, shared: this.#shared, threads: this.count };
    const plan = this.#memory.allocate(planBytes(0));
    writePlan(this.#memory, plan, []);
    try {
      for (let thread = 0; thread < this.count; thread++) {
        this.#workers.push(startWorker({ ...start, thread }, this.#listener()));
      }
      await this.run(plan);
      return null;
    } catch (error) {
      await this.dispose();
      return this.#death ?? messageOf(error);
    } finally {
      this.#memory.free(plan);
    }
  }

  #runHere(plan: number, runAlone: (plan: number) => void): void {
    try {
      runAlone(plan);
    } catch (error) {
      this.#fault = died(messageOf(error));
      throw this.#fault;
    }
  }

  #listener(): WorkerListener {
    return {
      onDone: () => this.#running?.resolve(),
      onFault: (message) => {
        if (this.#fault) return;
        this.#death = message;
        void this.#end(died(message)); // the other threads would wait for this one forever
      },
    };
  }

  async #end(fault: DeviceError): Promise<void> {
    this.#fault = fault;
    this.#running?.reject(fault);
    this.#signal(SHARED_STOP, 1);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Sets one of the shared words and wakes the threads. */
  #signal(index: number, value: number): void {
    const words = new Int32Array(this.#memory.wasm.buffer, this.#shared, SHARED_WORDS);
    Atomics.store(words, index, value);
    Atomics.add(words, SHARED_ORDERED, 1);
    Atomics.notify(words, SHARED_ORDERED);
  }
}

const ENDED = 'simd: the threads have been stopped; open the model again';

function died(message: string): DeviceError {
  return new DeviceError(`simd: a thread died: ${message}; open the model again`);
}
