import { DeviceError } from '../errors.js';
import type { WeightsHome } from '../session.js';
import { WebAssembly, type WasmMemory } from './webAssembly.js';

const PAGE = 2 ** 16;
/** All that 32-bit addresses reach except the last page, because the end of a block needs an address too. */
const MAX_PAGES = 2 ** 16 - 1;
/** Grow by at least this many pages: V8 takes each growth for a new array of that size and collects garbage. */
const MIN_GROWTH = 2 ** 12;
/** Each block starts on its own cache line. */
const CACHE_LINE = 64;
/** The compiler keeps its static data below this address. */
const FIRST_ADDRESS = 1024;

interface Block {
  address: number;
  bytes: number;
}

/**
 * The WebAssembly memory that all threads of `simd` share, allocated in blocks. A loader reads weights from a file
 * directly into it (see {@link SimdMemory.allocateBytes}), so loading needs no second copy.
 */
export class SimdMemory implements WeightsHome {
  readonly wasm: WasmMemory;
  readonly shared: boolean;
  #end = FIRST_ADDRESS;
  readonly #free: Block[] = [];
  readonly #sizes = new Map<number, number>();
  /** The buffers of all views handed out. Growing the memory replaces its buffer. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();

  /** @param shared between threads; needs SharedArrayBuffer, which browsers give to cross-origin isolated pages only */
  constructor(shared: boolean) {
    this.shared = shared;
    try {
      this.wasm = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared });
    } catch (error) {
      throw new DeviceError('simd: cannot reserve WebAssembly memory', { cause: error });
    }
  }

  /** Whether an array with this buffer is in this memory. */
  owns(buffer: ArrayBufferLike): boolean {
    return this.#buffers.has(buffer);
  }

  /** Bytes allocated. */
  get used(): number {
    return [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Allocates a block of at least this many bytes on a boundary of 64; its contents are arbitrary.
   *
   * @returns its address
   * @throws DeviceError if there is no memory left.
   */
  allocate(size: number): number {
    const bytes = Math.max(CACHE_LINE, Math.ceil(size / CACHE_LINE) * CACHE_LINE);
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
    if (bytes === undefined) throw new RangeError(`${address} is not the address of an allocated block`);
    this.#sizes.delete(address);
    this.#free.push({ address, bytes });
    this.#free.sort((a, b) => a.address - b.address);
    for (let i = this.#free.length - 1; i > 0; i--) {
      const before = this.#free[i - 1];
      const after = this.#free[i];
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

  /** Allocates bytes that stay valid. Call it on shared memory only: growing unshared memory detaches its views. */
  allocateBytes(length: number): Uint8Array {
    return this.bytes(this.allocate(length), length);
  }

  /** Returns a view. In unshared memory it is valid until the next {@link allocate}, in shared memory always. */
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
      this.wasm.grow(Math.max(missing, Math.min(MIN_GROWTH, MAX_PAGES - pages)));
    } catch (error) {
      throw new DeviceError(`simd: cannot grow WebAssembly memory to ${end} bytes`, { cause: error });
    }
  }
}

/** Whether threads can share memory here. */
export function canShare(): boolean {
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return typeof SharedArrayBuffer !== 'undefined' && crossOriginIsolated !== false;
}
