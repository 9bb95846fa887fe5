import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { mersenne } from 'pure-rand/generator/mersenne';
import { EmergentError, InputError } from '../reference/lib/errors.js';
import { Candidates } from './candidates.js';
import { requireKnownOptions, requireOption } from './lib/options.js';

export interface SampleOptions {
  /** 0, the default, always takes the likeliest token; 1 follows the model's own distribution. */
  temperature?: number | undefined;
  /** Choose among the k likeliest tokens; 0 (the default) means all. */
  topK?: number | undefined;
  /** Choose among the fewest tokens whose probabilities add up to p; 1 (the default) means all. */
  topP?: number | undefined;
  /** Divides the positive logits of tokens already seen, multiplies the negative ones; 1 (the default) leaves them. */
  repetitionPenalty?: number | undefined;
  /** An integer; the same seed gives the same choices on every machine. */
  seed?: number | undefined;
}

/** Every name in {@link SampleOptions}. */
export const SAMPLE_OPTIONS: readonly string[] = Object.keys({
  temperature: true,
  topK: true,
  topP: true,
  repetitionPenalty: true,
  seed: true,
} satisfies Record<keyof SampleOptions, true>);

/** Chooses the next token from logits [V], given the tokens so far. */
export type Sampler = (logits: Float32Array, history: readonly number[]) => number;

/** The choice that sampling options describe, also as the distribution from which it is drawn. */
export interface Choice {
  /** Whether the same logits and history always give the same token. */
  readonly isGreedy: boolean;
  readonly choose: Sampler;
  /** The probability of every token, [V], as `choose` draws it; only where it is not greedy. */
  probabilities(logits: Float32Array, history: readonly number[]): Float64Array;
  /** The next random number, 0 ≤ u < 1. */
  uniform(): number;
}

/** Within it, no float32 logit leaves the range of float64, nor does the difference of two. */
export const MAX_PENALTY = 1e269;

/**
 * Makes a sampler. As in Hugging Face transformers, the repetition penalty comes first (Keskar et al. 2019, arXiv
 * 1909.05858), then temperature, top-k and top-p (Holtzman et al. 2019, arXiv 1904.09751). Of equal logits, the first
 * tokens are kept.
 *
 * A logit of Infinity beats every finite one; several share the probability equally, and greedy takes the first. A logit
 * of -Infinity is never chosen.
 *
 * @throws InputError for an option that is unknown or out of range. The sampler throws EmergentError for logits that are
 *   NaN or all -Infinity.
 */
export function createSampler(options: SampleOptions = {}): Sampler {
  return createChoice(options).choose;
}

/** As {@link createSampler}, for callers that need the distribution, too. */
export function createChoice(options: SampleOptions = {}): Choice {
  requireKnownOptions(options, SAMPLE_OPTIONS);
  const { temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1, seed = 0 } = options;
  requireOption(Number.isFinite(temperature) && temperature >= 0, 'temperature', 'a number of at least 0', temperature);
  requireOption(Number.isSafeInteger(topK) && topK >= 0, 'top-k', 'an integer of at least 0', topK);
  requireOption(Number.isFinite(topP) && topP > 0 && topP <= 1, 'top-p', 'a number above 0 and at most 1', topP);
  requireOption(
    Number.isFinite(repetitionPenalty) && repetitionPenalty >= 1 / MAX_PENALTY && repetitionPenalty <= MAX_PENALTY,
    'repetition penalty',
    `a number from ${1 / MAX_PENALTY} to ${MAX_PENALTY}`,
    repetitionPenalty,
  );
  requireOption(Number.isSafeInteger(seed), 'seed', 'an integer', seed);

  const random = mersenne(seed);
  const penalize = createPenalty(repetitionPenalty);
  let candidates = new Candidates(0);
  /** Returns the likeliest token. Where it is sampled, also selects the candidates. */
  function weigh(logits: Float32Array, history: readonly number[]): number {
    if (temperature === 0 && repetitionPenalty === 1) return requireChoice(logits, argmax(logits));

    if (candidates.scores.length !== logits.length) candidates = new Candidates(logits.length);
    const { scores } = candidates;
    scores.set(logits);
    penalize(scores, history);
    const best = requireChoice(scores, argmax(scores));
    if (temperature > 0) candidates.select(scores[best], temperature, topK, topP);
    return best;
  }
  return {
    isGreedy: temperature === 0,
    choose: (logits, history) => {
      const best = weigh(logits, history);
      return temperature === 0 ? best : candidates.pick(uniformFloat64(random));
    },
    probabilities: (logits, history) => {
      weigh(logits, history);
      return candidates.probabilities();
    },
    uniform: () => uniformFloat64(random),
  };
}

/**
 * The index of the largest logit, the first of equals.
 *
 * @throws EmergentError if a logit is NaN: no choice would mean anything.
 */
export function argmax(logits: Float32Array | Float64Array): number {
  let best = 0;
  for (let id = 0; id < logits.length; id++) {
    if (Number.isNaN(logits[id])) throw new EmergentError(`the model's logit for token ${id} is not a number`);
    if (logits[id] > logits[best]) best = id;
  }
  return best;
}

/** @throws InputError without logits, EmergentError if even the largest is -Infinity. */
function requireChoice(logits: Float32Array | Float64Array, best: number): number {
  if (logits.length === 0) throw new InputError('there are no logits to choose a token from');
  if (logits[best] === -Infinity) throw new EmergentError("all of the model's logits are -Infinity");
  return best;
}

/** Penalizes each token of the history once, however often it occurs. */
function createPenalty(penalty: number): (scores: Float64Array, history: readonly number[]) => void {
  let seen = new Uint8Array(0);
  return (scores, history) => {
    if (penalty === 1) return;
    if (seen.length !== scores.length) seen = new Uint8Array(scores.length);
    for (const id of history) {
      if (seen[id] !== 0) continue; // also ids outside the vocabulary
      seen[id] = 1;
      scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
    }
    for (const id of history) seen[id] = 0;
  };
}
