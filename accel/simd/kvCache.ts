import type { ModelConfig } from '../../reference/lib/config.js';
import { PAGE_POSITIONS as PAGE } from './constants.js';
import type { SimdMemory } from './memory.js';

/**
 * The keys and values of all tokens so far, in pages of 64 positions: [H, 64, D], so that a head's keys lie side by side.
 * It grows by a page a layer and side, and nothing is ever copied.
 *
 * @see reference/kvCache.ts
 */
export class KvCache {
  /** Tokens held. */
  length = 0;
  readonly #memory: SimdMemory;
  readonly #config: ModelConfig;
  /** For every layer the addresses of the pages of its keys, then of those of its values. */
  readonly #lists: number;
  /** Blocks that hold a page for every layer and side. */
  readonly #blocks: number[] = [];

  constructor(memory: SimdMemory, config: ModelConfig) {
    this.#memory = memory;
    this.#config = config;
    this.#lists = memory.allocate(4 * 2 * config.nLayer * this.#most);
  }

  /** Makes room for T more tokens. */
  reserve(T: number): void {
    const { dModel: C, nLayer: L } = this.#config;
    const page = 4 * PAGE * C;
    while (PAGE * this.#blocks.length < this.length + T) {
      const block = this.#memory.allocate(2 * L * page);
      const lists = this.#memory.words(this.#lists, 2 * L * this.#most);
      for (let i = 0; i < 2 * L; i++) lists[i * this.#most + this.#blocks.length] = block + i * page;
      this.#blocks.push(block);
    }
  }

  /** The addresses of a layer's lists of pages. */
  pages(layer: number): { keys: number; values: number } {
    const list = 4 * this.#most;
    return { keys: this.#lists + 2 * layer * list, values: this.#lists + (2 * layer + 1) * list };
  }

  /** Counts T tokens as held, once every layer has stored them. */
  advance(T: number): void {
    this.length += T;
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const block of [this.#lists, ...this.#blocks]) this.#memory.free(block);
  }

  /** Pages that block_size tokens fill. */
  get #most(): number {
    return Math.ceil(this.#config.blockSize / PAGE);
  }
}
