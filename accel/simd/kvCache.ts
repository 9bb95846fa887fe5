import type { ModelConfig } from '../../reference/lib/config.js';
import { PAGE_POSITIONS as PAGE } from './constants.js';
import type { SimdMemory } from './memory.js';

/** Pages that the tables have room for at first: 1024 positions. */
const FIRST_PAGES = 16;

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
  #tables = 0;
  /** Pages that the tables have room for. */
  #maxPages = 0;
  /** Blocks of memory; each holds one page of keys and one of values for every layer. */
  readonly #blocks: number[] = [];

  constructor(memory: SimdMemory, config: ModelConfig) {
    this.#memory = memory;
    this.#config = config;
    this.#growTables(FIRST_PAGES);
  }

  /** Allocates pages for T more tokens. */
  reserve(T: number): void {
    const { dModel: C, nLayer: L } = this.#config;
    const pageBytes = 4 * PAGE * C;
    const pages = Math.ceil((this.length + T) / PAGE);
    if (pages > this.#maxPages) this.#growTables(Math.max(pages, 2 * this.#maxPages));
    while (this.#blocks.length < pages) {
      const block = this.#memory.allocate(2 * L * pageBytes);
      this.#blocks.push(block);
      this.#enter(this.#blocks.length - 1, pageBytes);
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

  /** Moves the page tables to where there is room for more pages. */
  #growTables(maxPages: number): void {
    const { dModel: C, nLayer: L } = this.#config;
    const tables = this.#memory.allocate(4 * 2 * L * maxPages);
    if (this.#maxPages > 0) this.#memory.free(this.#tables);
    this.#tables = tables;
    this.#maxPages = maxPages;
    for (const page of this.#blocks.keys()) this.#enter(page, 4 * PAGE * C);
  }

  /** Enters a page of every layer into the tables. */
  #enter(page: number, pageBytes: number): void {
    const { nLayer: L } = this.#config;
    const tables = this.#memory.words(this.#tables, 2 * L * this.#maxPages);
    for (let i = 0; i < 2 * L; i++) tables[i * this.#maxPages + page] = this.#blocks[page] + i * pageBytes;
  }
}
