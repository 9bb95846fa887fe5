import type { ModelConfig } from '../../reference/lib/config.js';
import { PAGE_POSITIONS as PAGE } from './constants.js';
import type { SimdMemory } from './memory.js';

/**
 * The keys and values of all tokens so far, in pages of 64 positions. A page is [H, 64, D], so a head's keys are
 * contiguous. The cache grows by one page of keys and one of values per layer, and copies nothing.
 *
 * @see reference/kvCache.ts
 */
export class KvCache {
  /** Number of tokens held. */
  length = 0;
  readonly #memory: SimdMemory;
  readonly #config: ModelConfig;
  /** Address of the page tables: for each layer, the addresses of its key pages, then of its value pages. */
  readonly #tables: number;
  /** Blocks of memory; each holds one page of keys and one of values for every layer. */
  readonly #blocks: number[] = [];

  constructor(memory: SimdMemory, config: ModelConfig) {
    this.#memory = memory;
    this.#config = config;
    this.#tables = memory.allocate(4 * 2 * config.nLayer * this.#maxPages);
  }

  /** Allocates pages for T more tokens. */
  reserve(T: number): void {
    const { dModel: C, nLayer: L } = this.#config;
    const pageBytes = 4 * PAGE * C;
    while (PAGE * this.#blocks.length < this.length + T) {
      const block = this.#memory.allocate(2 * L * pageBytes);
      const tables = this.#memory.words(this.#tables, 2 * L * this.#maxPages);
      for (let i = 0; i < 2 * L; i++) tables[i * this.#maxPages + this.#blocks.length] = block + i * pageBytes;
      this.#blocks.push(block);
    }
  }

  /** Returns the addresses of a layer's page tables. */
  pages(layer: number): { keys: number; values: number } {
    const tableBytes = 4 * this.#maxPages;
    const keys = this.#tables + 2 * layer * tableBytes;
    return { keys, values: keys + tableBytes };
  }

  /** Counts T tokens as held, once every layer has stored them. */
  advance(T: number): void {
    this.length += T;
  }

  /** Frees the memory. */
  dispose(): void {
    for (const block of [this.#tables, ...this.#blocks]) this.#memory.free(block);
  }

  /** The number of pages that block_size tokens fill. */
  get #maxPages(): number {
    return Math.ceil(this.#config.blockSize / PAGE);
  }
}
