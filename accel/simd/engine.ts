import type { Tensor } from '../../reference/lib/tensor.js';
import { builtin } from '../builtin.js';
import { SCRATCH_BYTES } from './constants.js';
import { Mutex } from '../mutex.js';
import { canShare, SimdMemory } from './memory.js';
import { hasRelaxedSimd } from './module.js';
import { planBytes, writePlan, type PlannedOp } from './plan.js';
import { Threads } from './threads.js';

export interface EngineOptions {
  /** Where weights already are, if they are. */
  memory?: SimdMemory | undefined;
  /** The cores there are unless told; one where memory cannot be shared. */
  threads?: number | undefined;
  /** Products and sums in one instruction; where the engine knows them unless told. */
  relaxed?: boolean | undefined;
}

/** Threads over one memory: what a device is to a GPU. */
export class Engine {
  readonly memory: SimdMemory;
  readonly #threads: Threads;
  readonly #mutex = new Mutex();
  readonly #blocks = new Set<number>();
  readonly #places = new Map<string, { address: number; bytes: number }>();

  private constructor(memory: SimdMemory, threads: Threads) {
    this.memory = memory;
    this.#threads = threads;
  }

  /** @throws DeviceError if there is no SIMD here, no memory, or a thread cannot be started. */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const { memory = new SimdMemory(canShare()), relaxed = hasRelaxedSimd() } = options;
    const threads = await Threads.start(memory, options.threads ?? countCores(), relaxed);
    return new Engine(memory, threads);
  }

  get threads(): number {
    return this.#threads.count;
  }

  /** What computes. */
  get adapter(): string {
    const threads = this.threads === 1 ? '1 thread' : `${this.threads} threads`;
    return `WebAssembly ${this.#threads.relaxed ? 'relaxed ' : ''}SIMD, ${threads}`;
  }

  /** What each thread has to itself, side by side. */
  get scratch(): number {
    return this.place('scratch', SCRATCH_BYTES * this.threads);
  }

  /** The address of an array: where it is if it is in this memory, or that of a copy which goes with the engine. */
  upload(data: Float32Array | Uint8Array | Uint16Array): number {
    if (this.memory.owns(data.buffer)) return data.byteOffset;
    const address = this.memory.allocate(data.byteLength);
    this.#blocks.add(address);
    this.memory.bytes(address, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return address;
  }

  /** Room of that name for so many bytes, which hold anything. Asking for more moves it. */
  place(name: string, bytes: number): number {
    const known = this.#places.get(name);
    if (known && known.bytes >= bytes) return known.address;
    if (known) this.#free(known.address);
    this.#places.delete(name);
    const address = this.memory.allocate(bytes);
    this.#blocks.add(address);
    this.#places.set(name, { address, bytes });
    return address;
  }

  /** A copy of what lies at an address. */
  read(address: number, shape: readonly [number, number]): Tensor {
    return { data: this.memory.floats(address, shape[0] * shape[1]).slice(), shape };
  }

  /** Runs `body` when no other session uses the engine. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(body);
  }

  /**
   * Runs ops one after the other.
   *
   * @throws DeviceError if a thread dies.
   */
  async run(ops: readonly PlannedOp[]): Promise<void> {
    const plan = this.place('plan', planBytes(ops.length));
    writePlan(this.memory, plan, ops);
    await this.#threads.run(plan);
  }

  /** Ends the threads and frees what was uploaded. */
  async dispose(): Promise<void> {
    await this.#threads.dispose();
    for (const address of this.#blocks) this.memory.free(address);
    this.#blocks.clear();
    this.#places.clear();
  }

  #free(address: number): void {
    this.memory.free(address);
    this.#blocks.delete(address);
  }
}

function countCores(): number {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return navigator?.hardwareConcurrency ?? (builtin('node:os') as NodeOs | undefined)?.availableParallelism() ?? 1;
}

interface NodeOs {
  availableParallelism: () => number;
}
