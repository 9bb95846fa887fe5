import { EmergentError } from '../../reference/lib/errors.js';
import { CHECK_WEIGHTS } from '../finite.js';
import { likeliest } from '../likeliest.js';

/** A token and ln p of it. */
export interface TokenLogprob {
  id: number;
  logprob: number;
}

/** What a model thought of one token. */
export interface Score extends TokenLogprob {
  /** The likeliest tokens at this place, the likeliest first; of equals, the lower id. */
  top: readonly TokenLogprob[];
}

/**
 * Scores a token: ln softmax(logits)[id], in float64. Temperature, penalties and the like have no part in it. All numbers
 * come from one formula, so the token's own is the same float as the one in `top`.
 *
 * @param logits [V]
 * @param count the number of likeliest tokens to name
 * @throws EmergentError if the logits are not finite.
 */
export function scoreToken(logits: Float32Array, id: number, count: number): Score {
  let maximum = -Infinity;
  for (const x of logits) if (x > maximum) maximum = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - maximum);
  const logSum = Math.log(sum) + maximum;
  if (!Number.isFinite(logSum) || !Number.isFinite(logits[id])) {
    throw new EmergentError(`the model gives no probabilities: ${CHECK_WEIGHTS}`);
  }
  const top = likeliest(logits, count).map((one) => ({ id: one, logprob: logits[one] - logSum }));
  return { id, logprob: logits[id] - logSum, top };
}
