import type { ModelConfig } from '../../reference/lib/config.js';
import { tensor } from '../../reference/lib/tensor.js';
import type { Device, DeviceTensor } from './device.js';

/** Initial number of rows: a multiple of every backend's step in attention. */
const INITIAL_CAPACITY = 128;

/**
 * Keys and values of all tokens so far, on the device: [capacity, C] each for every layer. The first `length` rows are
 * filled. A full cache doubles its capacity and copies its rows on the device.
 *
 * @see reference/kvCache.ts
 */
export class KvCache {
  /** Tokens held. */
  length = 0;
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #width: number;
  readonly #layers: number;
  #capacity = 0;
  #keys: DeviceTensor[] = []; // L of [capacity, C]
  #values: DeviceTensor[] = [];

  constructor(device: Device, config: ModelConfig) {
    this.#device = device;
    this.#config = config;
    this.#layers = config.nLayer;
    this.#width = config.dModel;
  }

  /** Grows the cache for T more tokens, if needed. */
  async reserve(T: number): Promise<void> {
    if (this.length + T <= this.#capacity) return;
    let capacity = Math.max(INITIAL_CAPACITY, this.#capacity);
    while (capacity < this.length + T) capacity *= 2;
    const held = [this.#keys, this.#values];
    const grown: DeviceTensor[][] = [[], []];
    for (const [i, side] of held.entries()) {
      for (let layer = 0; layer < this.#layers; layer++) {
        const old = side.at(layer);
        grown[i].push(await this.#withCapacity(old, capacity));
        if (old) this.#device.free(old);
      }
    }
    [this.#keys, this.#values] = grown;
    this.#capacity = capacity;
  }

  /** @returns a cache of its own that holds the same tokens */
  async fork(): Promise<KvCache> {
    const copy = new KvCache(this.#device, this.#config);
    copy.length = this.length;
    copy.#capacity = this.#capacity;
    try {
      for (const x of this.#keys) copy.#keys.push(await this.#withCapacity(x, this.#capacity));
      for (const x of this.#values) copy.#values.push(await this.#withCapacity(x, this.#capacity));
    } catch (error) {
      copy.dispose();
      throw error;
    }
    return copy;
  }

  /** A matrix of `capacity` rows that begins with those of `old`, if any. */
  async #withCapacity(old: DeviceTensor | undefined, capacity: number): Promise<DeviceTensor> {
    const empty = this.#device.keep(await this.#device.upload(tensor([capacity, this.#width])));
    return old ? this.#device.keep(await this.#device.write(empty, old, 0)) : empty;
  }

  /**
   * Writes a layer's keys and values of T new tokens after those held. {@link advance} then counts them.
   *
   * @returns the layer's keys and values, [capacity, C] each
   */
  async append(layer: number, k: DeviceTensor, v: DeviceTensor): Promise<[k: DeviceTensor, v: DeviceTensor]> {
    return [await this.#write(this.#keys, layer, k), await this.#write(this.#values, layer, v)];
  }

  /** The same for one token whose keys and values are the last two rows of `qkv` [3, C]. */
  async appendFrom(layer: number, qkv: DeviceTensor): Promise<[k: DeviceTensor, v: DeviceTensor]> {
    return [
      await this.#write(this.#keys, layer, qkv, { first: 1, count: 1 }),
      await this.#write(this.#values, layer, qkv, { first: 2, count: 1 }),
    ];
  }

  async #write(
    side: DeviceTensor[],
    layer: number,
    source: DeviceTensor,
    rows?: { first: number; count: number },
  ): Promise<DeviceTensor> {
    side[layer] = this.#device.keep(await this.#device.write(side[layer], source, this.length, rows));
    return side[layer];
  }

  /** Adds T to the length, once every layer has appended its rows. */
  advance(T: number): void {
    this.length += T;
  }

  /** Frees all keys and values. */
  dispose(): void {
    for (const x of [...this.#keys, ...this.#values]) this.#device.free(x);
    this.#keys = [];
    this.#values = [];
    this.#capacity = 0;
    this.length = 0;
  }
}
