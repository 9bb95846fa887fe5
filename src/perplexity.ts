import type { Session } from './backend.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';
import { requireFinite } from './finite.js';

export interface Perplexity {
  /** exp(mean surprise): 1 if every prediction is certain and right, V for uniform guesses. */
  perplexity: number;
  /** −ln p of each token after the first of its window. */
  surprises: number[];
}

/**
 * Measures how well a model predicts a text: −ln p(token | earlier tokens), averaged over the text. The text is split into
 * independent windows of block_size tokens.
 *
 * @param session is reset before every window
 * @throws InputError for fewer than two tokens, EmergentError if the result is not a finite number
 */
export async function perplexity(session: Session, config: ModelConfig, ids: readonly number[]): Promise<Perplexity> {
  const surprises = await surprisesOf(session, config, ids);
  requireFinite(surprises, (value, at) => {
    const fault = Number.isNaN(value) ? 'gives no probabilities' : 'gives the token there no probability';
    return `prediction ${at + 1} of ${surprises.length} ${fault}`;
  });
  const nats = mean(surprises);
  const value = Math.exp(nats);
  requireFinite([value], () => `the perplexity is too large for a number: e^${nats.toPrecision(6)}`);
  return { perplexity: value, surprises };
}

/**
 * The surprises of {@link perplexity}. They are NaN where the logits are NaN or all -Infinity, and Infinity where a token
 * has no probability.
 */
export async function surprisesOf(
  session: Session,
  { blockSize }: ModelConfig,
  ids: readonly number[],
): Promise<number[]> {
  if (ids.length < 2) throw new InputError('perplexity needs a text of at least two tokens');
  const surprises: number[] = [];
  for (let start = 0; start < ids.length - 1; start += blockSize) {
    const window = ids.slice(start, start + blockSize);
    if (window.length < 2) break;
    session.reset();
    const { data, shape } = await session.forward(window, { logits: 'all' });
    for (let t = 0; t + 1 < window.length; t++) {
      surprises.push(surprise(data.subarray(t * shape[1], (t + 1) * shape[1]), window[t + 1]));
    }
  }
  return surprises;
}

/** −ln softmax(logits)[id] = ln Σ e^(x − m) + m − x[id], in float64. Infinite logits share the probability. */
export function surprise(logits: Float32Array, id: number): number {
  const maximum = logits.reduce((m, x) => Math.max(m, x), -Infinity);
  const sum = logits.reduce((total, x) => total + (x === maximum ? 1 : Math.exp(x - maximum)), 0);
  return logits[id] === Infinity ? Math.log(sum) : Math.log(sum) + maximum - logits[id];
}

export function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
