import { InputError } from './errors.js';
import type { Model } from './weights.js';

/**
 * Checks that an argument is a model and not, say, the language model around it.
 *
 * @throws InputError that says what to pass instead.
 */
export function checkModel(model: unknown): void {
  const { config, weights, model: inner } = (model ?? {}) as Partial<Model> & { model?: Partial<Model> | null };
  if (config && weights) return;
  const hint = inner?.weights ? 'this object has one: pass its .model' : 'pass { config, weights }';
  throw new InputError(`expected a Model; ${hint}`);
}
