import { DeviceError } from '../errors.js';
import type { WeightsHome } from '../session.js';
import { WebAssembly, type WasmMemory } from './webAssembly.js';

const PAGE = 2 ** 16;
/** What 32-bit addresses reach, but for the last page: the end of a block must have an address, too. */
const MOST_PAGES = 2 ** 16 - 1;
/** Pages that memory grows by at least: each time V8 sees another array of a gigabyte, and collects garbage for it. */
const STEP = 2 ** 12;
/** Every block begins on a cache line of its own. */
const LINE = 64;
/** Below this, threads.ts and the compiler keep what is theirs. */
const FIRST = 1024;

interface Block {
  address: number;
  bytes: number;
}

/**
 * The one memory that the threads of `simd` share: WebAssembly's, handed out in blocks. Weights can be read from a file
 * straight into it (see {@link SimdMemory.allocateBytes}), so that they are in memory once.
 */
export class SimdMemory implements WeightsHome {
  readonly wasm: WasmMemory;
  readonly shared: boolean;
  #end = FIRST;
  readonly #free: Block[] = [];
  readonly #sizes = new Map<number, number>();
  /** The buffers of all views: each growth of the memory brings a new one. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();

  /** @param shared between threads; takes SharedArrayBuffer, which browsers give to isolated pages only */
  constructor(shared: boolean) {
    this.shared = shared;
    try {
      this.wasm = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared });
    } catch (error) {
      throw new DeviceError('simd: there is no room for its memory', { cause: error });
    }
  }

  /** Whether an array with this buffer lies in this memory. */
  owns(buffer: ArrayBufferLike): boolean {
    return this.#buffers.has(buffer);
  }

  /** Bytes taken. */
  get used(): number {
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * @returns the address of a block of so many bytes, on a boundary of 64, which hold anything
   * @throws DeviceError if there is no room.
   */
  allocate(size: number): number {
    const bytes = Math.max(LINE, Math.ceil(size / LINE) * LINE);
    const hole = this.#free.findIndex((block) => block.bytes >= bytes);
    let address = this.#end;
    if (hole === -1) {
      this.#reserve(this.#end + bytes);
      this.#end += bytes;
    } else {
      const block = this.#free[hole];
      address = block.address;
      if (block.bytes === bytes) this.#free.splice(hole, 1);
      else this.#free[hole] = { address: address + bytes, bytes: block.bytes - bytes };
    }
    this.#sizes.set(address, bytes);
    return address;
  }

  free(address: number): void {
    const bytes = this.#sizes.get(address);
    if (bytes === undefined) throw new RangeError(`${address} is not the address of a block`);
    this.#sizes.delete(address);
    this.#free.push({ address, bytes });
    this.#free.sort((a, b) => a.address - b.address);
    for (let i = this.#free.length - 1; i > 0; i--) {
      const [before, after] = [this.#free[i - 1], this.#free[i]];
      if (before.address + before.bytes !== after.address) continue;
      before.bytes += after.bytes;
      this.#free.splice(i, 1);
    }
    const last = this.#free.at(-1);
    if (last && last.address + last.bytes === this.#end) {
      this.#free.pop();
      this.#end = last.address;
    }
  }

  /** Bytes in this memory. Only shared memory can grow under them; an ordinary one would take them away. */
  allocateBytes(length: number): Uint8Array {
    return this.bytes(this.allocate(length), length);
  }

  /** Views are good until the next {@link allocate}, in shared memory for ever. */
  floats(address: number, length: number): Float32Array {
    return new Float32Array(this.#buffer(), address, length);
  }

  words(address: number, length: number): Uint32Array {
    return new Uint32Array(this.#buffer(), address, length);
  }

  halves(address: number, length: number): Uint16Array {
    return new Uint16Array(this.#buffer(), address, length);
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer(), address, length);
  }

  #buffer(): ArrayBufferLike {
    const { buffer } = this.wasm;
    this.#buffers.add(buffer);
    return buffer;
  }

  #reserve(end: number): void {
    const pages = this.wasm.buffer.byteLength / PAGE;
    const missing = Math.ceil(end / PAGE) - pages;
    if (missing <= 0) return;
    try {
      this.wasm.grow(Math.max(missing, Math.min(STEP, MOST_PAGES - pages)));
    } catch (error) {
      throw new DeviceError(`simd: there is no memory for ${end} bytes`, { cause: error });
    }
  }
}

/** Whether threads can share memory here. */
export function canShare(): boolean {
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return typeof SharedArrayBuffer !== 'undefined' && crossOriginIsolated !== false;
}
