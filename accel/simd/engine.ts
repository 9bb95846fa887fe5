import type { Float32Tensor } from '../../reference/lib/tensor.js';
import { Mutex } from '../mutex.js';
import { SCRATCH_BYTES } from './constants.js';
import { defaultThreads } from './defaultThreads.js';
import { canShare, SimdMemory } from './memory.js';
import { hasRelaxedSimd } from './module.js';
import { planBytes, writePlan, type PlannedOp } from './plan.js';
import { Threads } from './threads.js';

export interface EngineOptions {
  /** The memory that already holds the weights, if any. */
  memory?: SimdMemory | undefined;
  /** {@link defaultThreads} by default; always one where memory cannot be shared. */
  threads?: number | undefined;
  /** Use fused multiply-add; by default if this JavaScript engine supports it. */
  relaxed?: boolean | undefined;
}

/** Threads with one shared memory: the counterpart of a GPU device. */
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

  /** @throws DeviceError if WebAssembly SIMD is missing or forbidden, or memory cannot be reserved. */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const { memory = new SimdMemory(canShare()), relaxed = hasRelaxedSimd() } = options;
    const threads = await Threads.start(memory, options.threads ?? defaultThreads(), relaxed);
    return new Engine(memory, threads);
  }

  get threads(): number {
    return this.#threads.count;
  }

  /** What computes, and why on one thread if more were asked for. */
  get adapter(): string {
    const { count, relaxed, noWorkers } = this.#threads;
    const threads = count === 1 ? '1 thread' : `${count} threads`;
    const reason = noWorkers === null ? '' : ` (workers cannot start: ${noWorkers})`;
    return `WebAssembly ${relaxed ? 'relaxed ' : ''}SIMD, ${threads}${reason}`;
  }

  /** The address of the threads' scratch memory, {@link SCRATCH_BYTES} for each. */
  get scratch(): number {
    return this.place('scratch', SCRATCH_BYTES * this.threads);
  }

  /** Returns the address of an array. An array outside this memory is copied; the copy is freed with the engine. */
  upload(data: Float32Array | Uint8Array | Uint16Array): number {
    if (this.memory.owns(data.buffer)) return data.byteOffset;
    const address = this.memory.allocate(data.byteLength);
    this.#blocks.add(address);
    this.memory.bytes(address, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return address;
  }

  /** Returns the address of a named buffer of at least this many bytes; its contents are arbitrary. Growing it moves it. */
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

  /** Copies the matrix at an address to the host. */
  read(address: number, shape: readonly [number, number]): Float32Tensor {
    return { data: this.memory.floats(address, shape[0] * shape[1]).slice(), shape };
  }

  /** Runs `body` when no other session uses the engine. */
  exclusive<Result>(body: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(body);
  }

  /**
   * Runs ops in order.
   *
   * @throws DeviceError if a thread dies.
   */
  async run(ops: readonly PlannedOp[]): Promise<void> {
    const plan = this.place('plan', planBytes(ops.length));
    writePlan(this.memory, plan, ops);
    await this.#threads.run(plan);
  }

  /** Stops the threads and frees what was uploaded. */
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
