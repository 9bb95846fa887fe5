import type { ModelConfig } from '../../reference/lib/config.js';
import { PAGE_POSITIONS as PAGE } from './constants.js';
import type { SimdMemory } from './memory.js';

/** Pages that the tables have room for at first: 1024 positions. */
const FIRST_PAGES = 16;

/** Memory that holds one page of keys and one of values for every layer. Forks share it until one of them writes to it. */
interface Block {
  address: number;
  /** Caches that hold it. */
  holders: number;
}

/**
 * The keys and values of all tokens so far, in pages of 64 positions. A page is [H, 64, D], so a head's keys are
 * contiguous. The cache grows by one page of keys and one of values per layer, and copies nothing.
 * A fork shares the pages; a page is copied when a token is written to it.
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
  readonly #blocks: Block[] = [];

  constructor(memory: SimdMemory, config: ModelConfig, maxPages: number = FIRST_PAGES) {
    this.#memory = memory;
    this.#config = config;
    this.#growTables(maxPages);
  }

  /** Allocates pages for T more tokens, which no other cache sees. */
  reserve(T: number): void {
    const pages = Math.ceil((this.length + T) / PAGE);
    if (pages > this.#maxPages) this.#growTables(Math.max(pages, 2 * this.#maxPages));
    for (let page = Math.floor(this.length / PAGE); page < pages; page++) {
      const held = this.#blocks.at(page);
      if (held?.holders === 1) continue;
      const block = { address: this.#memory.allocate(this.#blockBytes), holders: 1 };
      if (held && page * PAGE < this.length) this.#copyBlock(held, block);
      if (held) held.holders--;
      this.#blocks[page] = block;
      this.#enter(page);
    }
  }

  /** @returns a cache that holds the same tokens and shares their pages */
  fork(): KvCache {
    const copy = new KvCache(this.#memory, this.#config, this.#maxPages);
    copy.length = this.length;
    for (const block of this.#blocks.slice(0, Math.ceil(this.length / PAGE))) {
      block.holders++;
      copy.#blocks.push(block);
      copy.#enter(copy.#blocks.length - 1);
    }
    return copy;
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

  /** Frees the memory that no other cache holds. */
  dispose(): void {
    this.#memory.free(this.#tables);
    for (const block of this.#blocks) {
      block.holders--;
      if (block.holders === 0) this.#memory.free(block.address);
    }
  }

  get #blockBytes(): number {
    const { dModel: C, nLayer: L } = this.#config;
    return 2 * L * 4 * PAGE * C;
  }

  #copyBlock(from: Block, to: Block): void {
    const bytes = this.#blockBytes;
    this.#memory.bytes(to.address, bytes).set(this.#memory.bytes(from.address, bytes));
  }

  /** Moves the page tables to where there is room for more pages. */
  #growTables(maxPages: number): void {
    const { nLayer: L } = this.#config;
    const tables = this.#memory.allocate(4 * 2 * L * maxPages);
    if (this.#maxPages > 0) this.#memory.free(this.#tables);
    this.#tables = tables;
    this.#maxPages = maxPages;
    for (const page of this.#blocks.keys()) this.#enter(page);
  }

  /** Enters a page of every layer into the tables. */
  #enter(page: number): void {
    const { nLayer: L } = this.#config;
    const pageBytes = this.#blockBytes / (2 * L);
    const tables = this.#memory.words(this.#tables, 2 * L * this.#maxPages);
    for (let i = 0; i < 2 * L; i++) tables[i * this.#maxPages + page] = this.#blocks[page].address + i * pageBytes;
  }
}
