import type { ModelConfig } from './config.js';
import { InputError } from './errors.js';

/**
 * Checks what a forward pass is given.
 *
 * @param past tokens before these
 * @throws InputError for no tokens, more than block_size in all, or an id outside of the vocabulary
 */
export function checkTokens(ids: readonly number[], past: number, { blockSize, vocabSize }: ModelConfig): void {
  if (ids.length === 0) throw new InputError('the model needs at least one token');
  if (past + ids.length > blockSize) {
    throw new InputError(`${past + ids.length} tokens are over the model's block_size of ${blockSize}`);
  }
  ids.forEach((id, t) => {
    checkId(id, t, vocabSize);
  });
}

/** @throws InputError if `id` is none of V. */
export function checkId(id: number, position: number, V: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= V) {
    throw new InputError(`token id ${id} at position ${position} is not in the vocabulary of ${V} (0 to ${V - 1})`);
  }
}
