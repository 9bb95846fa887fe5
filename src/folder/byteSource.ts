/** Bytes with random access: a file on disk, a buffer in memory, a Blob in a browser. */
export interface ByteSource {
  /** The name to use in messages. */
  readonly name: string;
  /** The total number of bytes. */
  readonly size: number;
  /**
   * Fills `target` with the bytes that start at `offset`. The caller must stay within `size`.
   *
   * @throws CheckpointError if the bytes cannot be read.
   */
  readInto(target: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** A source over bytes that are already in memory. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  return {
    name,
    size: bytes.length,
    readInto(target, offset) {
      target.set(bytes.subarray(offset, offset + target.length));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
