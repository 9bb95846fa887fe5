import { DeviceError } from '../errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import { SHARED_ORDERED, SHARED_PLAN, SHARED_STOP, SHARED_WORDS } from './constants.js';
import type { SimdMemory } from './memory.js';
import { compileKernels, instantiate } from './module.js';
import { startWorker, type WorkerHandle, type WorkerListener } from './worker.js';

/**
 * Runs plans (plan.ts) on several threads, or on the caller's own where there is one or memory cannot be shared. Threads
 * sleep while there is nothing to do, and do not keep Node from ending.
 */
export class Threads {
  readonly count: number;
  readonly relaxed: boolean;
  readonly #memory: SimdMemory;
  readonly #shared: number;
  readonly #workers: WorkerHandle[] = [];
  #alone: ((plan: number) => void) | null = null;
  #running: { resolve: () => void; reject: (error: DeviceError) => void } | null = null;
  #fault: DeviceError | null = null;

  private constructor(memory: SimdMemory, count: number, relaxed: boolean) {
    this.count = count;
    this.relaxed = relaxed;
    this.#memory = memory;
    this.#shared = memory.allocate(4 * SHARED_WORDS);
    memory.words(this.#shared, SHARED_WORDS).fill(0);
  }

  /** @throws DeviceError if there is no SIMD here or a worker cannot be started. */
  static async start(memory: SimdMemory, count: number, relaxed: boolean): Promise<Threads> {
    const module = await compileKernels(memory.shared, relaxed);
    const threads = new Threads(memory, memory.shared ? count : 1, relaxed);
    if (threads.count === 1) {
      threads.#alone = instantiate(module, memory.wasm).runAlone;
      return threads;
    }
    const start = { module, memory: memory.wasm, shared: threads.#shared, threads: threads.count };
    try {
      for (let thread = 0; thread < threads.count; thread++) {
        threads.#workers.push(startWorker({ ...start, thread }, threads.#listener()));
      }
    } catch (error) {
      await threads.dispose();
      throw new DeviceError(`simd: a thread cannot be started: ${messageOf(error)}`, { cause: error });
    }
    return threads;
  }

  /**
   * Runs the plan at an address; one at a time.
   *
   * @throws DeviceError if a thread dies, and ever after.
   */
  async run(plan: number): Promise<void> {
    if (this.#fault) throw this.#fault;
    if (this.#alone) {
      this.#runHere(plan, this.#alone);
      return;
    }
    const done = new Promise<void>((resolve, reject) => (this.#running = { resolve, reject }));
    for (const worker of this.#workers) worker.hold(true);
    this.#order(SHARED_PLAN, plan);
    try {
      await done;
    } finally {
      this.#running = null;
      for (const worker of this.#workers) worker.hold(false);
    }
  }

  /** Ends the threads; a plan that is running is rejected. */
  async dispose(): Promise<void> {
    if (this.#fault?.message === ENDED) return;
    await this.#end(new DeviceError(ENDED));
    this.#memory.free(this.#shared);
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
        if (!this.#fault) void this.#end(died(message)); // the others wait for it in vain
      },
    };
  }

  async #end(fault: DeviceError): Promise<void> {
    this.#fault = fault;
    this.#running?.reject(fault);
    this.#order(SHARED_STOP, 1);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Sets a word that the threads look at, and wakes them. */
  #order(index: number, value: number): void {
    const words = new Int32Array(this.#memory.wasm.buffer, this.#shared, SHARED_WORDS);
    Atomics.store(words, index, value);
    Atomics.add(words, SHARED_ORDERED, 1);
    Atomics.notify(words, SHARED_ORDERED);
  }
}

const ENDED = 'simd: its threads have ended; open the model again';

function died(message: string): DeviceError {
  return new DeviceError(`simd: a thread died: ${message}; open the model again`);
}
