import type { ModelConfig } from './config.js';
import { InputError } from './errors.js';

/**
 * Checks the token ids of a forward pass.
 *
 * @param past number of tokens before these
 * @throws InputError for no tokens, more than block_size in all, or an id outside the vocabulary
 */
export function checkTokens(
  ids: readonly number[],
  past: number,
  { blockSize, vocabSize }: Pick<ModelConfig, 'blockSize' | 'vocabSize'>,
): void {
  if (ids.length === 0) throw new InputError('the model needs at least one token');
  if (past + ids.length > blockSize) {
    throw new InputError(`${past + ids.length} tokens exceed the model's block_size of ${blockSize}`);
  }
  ids.forEach((id, t) => {
    checkId(id, t, vocabSize);
  });
}

/** @throws InputError unless 0 ≤ id < V. */
export function checkId(id: number, position: number, V: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= V) {
    throw new InputError(`token id ${id} at position ${position} is outside the vocabulary of ${V} (0 to ${V - 1})`);
  }
}
