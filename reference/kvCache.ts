import type { ModelConfig } from './lib/config.js';
import { rows, tensor, type Tensor } from './lib/tensor.js';

/**
 * The keys and values of all tokens so far, for every layer. A token's key and value never change, because it cannot see
 * the tokens after it. Keeping them saves running the whole sequence again for each new token.
 *
 * @example Token 1 of the example of attention, computed alone: T = 1, S = 2.
 * ```ts
 * const cache = new KvCache({ nLayer: 1, blockSize: 4, dModel: 1 });
 * cache.append(0, matrix([[0]]), matrix([[4]])); // layer 0, token 0
 * cache.advance(1);
 * const [keys, values] = cache.append(0, matrix([[1]]), matrix([[8]])); // token 1
 * keys.data; // => [0, 1]
 * attention(matrix([[Math.log(3)]]), keys, values, 1).data; // => [7]
 * ```
 */
export class KvCache {
  /** Number of tokens held. */
  length = 0;
  readonly #keys: Tensor[]; // L of [block_size, C]
  readonly #values: Tensor[];

  constructor({ nLayer: L, blockSize, dModel: C }: Pick<ModelConfig, 'nLayer' | 'blockSize' | 'dModel'>) {
    this.#keys = Array.from({ length: L }, () => tensor([blockSize, C]));
    this.#values = Array.from({ length: L }, () => tensor([blockSize, C]));
  }

  /**
   * Stores a layer's keys and values of T new tokens after those held. They count once {@link advance} is called.
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
