import { forward, KvCache } from '../reference/index.js';
import type { Session, SessionForwardOptions } from '../accel/session.js';
import { InputError } from '../reference/lib/errors.js';
import type { Tensor } from '../reference/lib/tensor.js';
import type { Model } from '../reference/lib/weights.js';

/** A session on the reference: plain loops on the calling thread. */
export function openReferenceSession(model: Model): Session {
  return new ReferenceSession(model);
}

class ReferenceSession implements Session {
  readonly chunk = 16;
  readonly tracesAttnWeights = true;
  readonly #model: Model;
  #cache: KvCache | null;

  constructor(model: Model) {
    this.#model = model;
    this.#cache = new KvCache(model.config);
  }

  get length(): number {
    return this.#cache?.length ?? 0;
  }

  // async, so that a fault rejects the promise as it would with a device behind it
  // eslint-disable-next-line @typescript-eslint/require-await
  async forward(ids: readonly number[], options: SessionForwardOptions = {}): Promise<Tensor> {
    if (!this.#cache) throw new InputError('the session has been disposed');
    return forward(ids, this.#model, { logits: 'last', ...options, cache: this.#cache });
  }

  reset(): void {
    if (this.#cache) this.#cache.length = 0;
  }

  dispose(): Promise<void> {
    this.#cache = null;
    return Promise.resolve();
  }
}
