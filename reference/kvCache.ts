import type { ModelConfig } from './lib/config.js';
import { rows, tensor, type Tensor } from './lib/tensor.js';

/**
 * The keys and values of all tokens so far, for every layer. A token's key and value never change, since it cannot see
 * the tokens after it; keeping them saves running the whole sequence again for each new token.
 */
export class KvCache {
  /** Tokens held. */
  length = 0;
  readonly #keys: Tensor[]; // L of [block_size, C]
  readonly #values: Tensor[];

  constructor({ nLayer: L, blockSize, dModel: C }: ModelConfig) {
    this.#keys = Array.from({ length: L }, () => tensor([blockSize, C]));
    this.#values = Array.from({ length: L }, () => tensor([blockSize, C]));
  }

  /**
   * Stores a layer's keys and values of T new tokens behind those held, until {@link advance} counts them.
   *
   * @param k [T, C], rotated
   * @param v [T, C]
   * @returns views of the layer's keys and values of all tokens, [length + T, C] each
   */
  append(layer: number, k: Tensor, v: Tensor): [k: Tensor, v: Tensor] {
    const [T, C] = k.shape;
    this.#keys[layer].data.set(k.data, this.length * C);
    this.#values[layer].data.set(v.data, this.length * C);
    return [rows(this.#keys[layer], 0, this.length + T), rows(this.#values[layer], 0, this.length + T)];
  }

  /** Counts T tokens as held, once every layer has stored them. */
  advance(T: number): void {
    this.length += T;
  }
}
