import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { ByteSource } from './byteSource.js';

/** A file holds at most this many bytes in the page's memory; further ones become Blobs, which a browser can keep on disk. */
const MAX_MEMORY = 2 ** 31;
/** Bytes of a Blob. */
const BLOB_SIZE = 2 ** 24;

/**
 * The bytes of a file in the pieces in which they arrived: bytes or Blobs. To copy bytes within the page is several times
 * faster than to read a Blob, which another process of the browser holds.
 */
export class Pieces {
  readonly #maxMemory: number;
  #pieces: (Uint8Array | Blob)[] = [];
  /** Where each piece begins. */
  #starts: number[] = [];
  #size = 0;
  #inMemory = 0;
  #overflow: Uint8Array<ArrayBuffer>[] = [];
  #overflowSize = 0;

  constructor(maxMemory: number = MAX_MEMORY) {
    this.#maxMemory = maxMemory;
  }

  /** The number of bytes. */
  get size(): number {
    return this.#size + this.#overflowSize;
  }

  /** Whether as many more bytes fit in memory. */
  hasMemory(bytes: number): boolean {
    return this.#inMemory + bytes <= this.#maxMemory;
  }

  add(piece: Uint8Array<ArrayBuffer> | Blob): void {
    if (piece instanceof Blob) {
      this.#flush();
      this.#push(piece, piece.size);
    } else if (this.#overflowSize === 0 && this.hasMemory(piece.length)) {
      this.#inMemory += piece.length;
      this.#push(piece, piece.length);
    } else {
      this.#overflow.push(piece);
      this.#overflowSize += piece.length;
      if (this.#overflowSize >= BLOB_SIZE) this.#flush();
    }
  }

  /** Fills `target` with the bytes that start at `offset`. */
  async readInto(target: Uint8Array, offset: number): Promise<void> {
    this.#flush();
    if (offset + target.length > this.#size) throw new Error('bytes are missing');
    let index = this.#indexOf(offset);
    for (let done = 0; done < target.length; index++) {
      const piece = this.#pieces[index];
      const begin = offset + done - this.#starts[index];
      const length = Math.min(target.length - done, this.#end(index) - offset - done);
      if (piece instanceof Blob) {
        const bytes = await piece.slice(begin, begin + length).arrayBuffer();
        if (bytes.byteLength !== length) throw new Error('bytes are missing');
        target.set(new Uint8Array(bytes), done);
      } else target.set(piece.subarray(begin, begin + length), done);
      done += length;
    }
  }

  /** A source over the bytes. Closing it frees them. */
  source(name: string): ByteSource {
    return {
      name,
      size: this.size,
      readInto: async (target, offset) => {
        try {
          await this.readInto(target, offset);
        } catch (error) {
          throw new CheckpointError(`${name} cannot be read: ${messageOf(error)}`);
        }
      },
      close: () => {
        this.clear();
        return Promise.resolve();
      },
    };
  }

  clear(): void {
    this.#pieces = [];
    this.#starts = [];
    this.#size = 0;
    this.#inMemory = 0;
    this.#overflow = [];
    this.#overflowSize = 0;
  }

  #push(piece: Uint8Array | Blob, size: number): void {
    if (size === 0) return;
    this.#pieces.push(piece);
    this.#starts.push(this.#size);
    this.#size += size;
  }

  #flush(): void {
    if (this.#overflowSize === 0) return;
    this.#push(new Blob(this.#overflow), this.#overflowSize);
    this.#overflow = [];
    this.#overflowSize = 0;
  }

  #end(index: number): number {
    return this.#starts[index + 1] ?? this.#size;
  }

  /** The piece that contains a byte, by binary search. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
