import type { ModelConfig } from './lib/config.js';
import { rows, tensor, zerosLike, type Tensor } from './lib/tensor.js';

/**
 * The keys and values of all tokens so far, for every layer. A token's key and value never change, because it cannot see
 * the tokens after it. Keeping them saves running the whole sequence again for each new token. The memory grows with use.
 *
 * @example Token 1 of the example of attention, computed alone: T = 1, S = 2.
 * ```ts
 * const cache = new KvCache({ nLayer: 1, dModel: 1 });
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
  readonly #keys: Tensor[]; // L of [capacity, C]
  readonly #values: Tensor[];

  constructor({ nLayer: L, dModel: C }: Pick<ModelConfig, 'nLayer' | 'dModel'>) {
    this.#keys = Array.from({ length: L }, () => tensor([0, C]));
    this.#values = Array.from({ length: L }, () => tensor([0, C]));
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
    const S = this.length + T;
    const keys = withCapacity(this.#keys[layer], S, k);
    const values = withCapacity(this.#values[layer], S, v);
    keys.data.set(k.data, this.length * C);
    values.data.set(v.data, this.length * C);
    this.#keys[layer] = keys;
    this.#values[layer] = values;
    return [rows(keys, 0, S), rows(values, 0, S)];
  }

  /** @returns a cache of its own that holds the same tokens */
  fork(): KvCache {
    const copy = new KvCache({ nLayer: 0, dModel: 0 });
    copy.length = this.length;
    for (const k of this.#keys) copy.#keys.push(firstRows(k, this.length));
    for (const v of this.#values) copy.#values.push(firstRows(v, this.length));
    return copy;
  }

  /** Counts T tokens as held, once every layer has stored them. */
  advance(T: number): void {
    this.length += T;
  }
}

/** A matrix with at least this many rows: itself, or a copy twice as long, in the format of the rows to come. */
function withCapacity(x: Tensor, capacity: number, added: Tensor): Tensor {
  const [held, C] = x.shape;
  if (held >= capacity) return x;
  const grown = zerosLike(added, [Math.max(capacity, 2 * held), C]);
  grown.data.set(x.data);
  return grown;
}

/** A copy of the first rows of a matrix. */
function firstRows({ data, shape: [, C] }: Tensor, count: number): Tensor {
  return tensor([count, C], data.slice(0, count * C));
}
