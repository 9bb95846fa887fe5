import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { mersenne } from 'pure-rand/generator/mersenne';
import { EmergentError, InputError } from '../reference/lib/errors.js';

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

/** Chooses the next token from logits [V], given the tokens so far. */
export type Sampler = (logits: Float32Array, history: readonly number[]) => number;

/**
 * Makes a sampler. As in Hugging Face transformers, the repetition penalty comes first (Keskar et al. 2019, arXiv
 * 1909.05858), then temperature, top-k and top-p (Holtzman et al. 2019, arXiv 1904.09751).
 *
 * @throws InputError for an option out of range.
 */
export function createSampler(options: SampleOptions = {}): Sampler {
  const { temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1, seed = 0 } = options;
  demand(temperature >= 0 && Number.isFinite(temperature), 'temperature', 'a number of at least 0', temperature);
  demand(Number.isSafeInteger(topK) && topK >= 0, 'top-k', 'an integer of at least 0', topK);
  demand(topP > 0 && topP <= 1, 'top-p', 'a number above 0 and at most 1', topP);
  demand(
    repetitionPenalty > 0 && Number.isFinite(repetitionPenalty),
    'repetition penalty',
    'a number above 0',
    repetitionPenalty,
  );
  demand(Number.isSafeInteger(seed), 'seed', 'an integer', seed);

  const random = mersenne(seed);
  return (logits, history) => {
    const scores = penalize(logits, history, repetitionPenalty);
    const best = argmax(scores);
    if (temperature === 0) return best;

    const weights = scores.map((score) => Math.exp((score - scores[best]) / temperature));
    const candidates = nucleus(scores, weights, topK, topP);
    return pick(candidates, weights, uniformFloat64(random));
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

function penalize(logits: Float32Array, history: readonly number[], penalty: number): Float64Array {
  const scores = Float64Array.from(logits);
  if (penalty === 1) return scores;
  for (const id of new Set(history)) scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
  return scores;
}

/** The ids that top-k and top-p leave, likeliest first where they had to be sorted. */
function nucleus(scores: Float64Array, weights: Float64Array, topK: number, topP: number): Uint32Array {
  const ids = Uint32Array.from(weights.keys());
  if ((topK === 0 || topK >= ids.length) && topP === 1) return ids;

  ids.sort((a, b) => scores[b] - scores[a] || a - b); // by score: weights that differ little may round to one number
  const kept = topK === 0 ? ids : ids.subarray(0, topK);
  const limit = topP * sum(kept, weights);
  let covered = 0;
  let count = 0;
  while (count < kept.length && covered < limit) covered += weights[kept[count++]];
  return kept.subarray(0, count);
}

/** The candidate at the share `u` of the candidates' total weight, 0 ≤ u < 1. */
function pick(candidates: Uint32Array, weights: Float64Array, u: number): number {
  let left = u * sum(candidates, weights);
  for (const id of candidates) {
    left -= weights[id];
    if (left < 0) return id;
  }
  return candidates[candidates.length - 1]; // u · total can round up to the total
}

function sum(ids: Uint32Array, weights: Float64Array): number {
  return ids.reduce((total, id) => total + weights[id], 0);
}

function demand(holds: boolean, name: string, wanted: string, got: number): void {
  if (!holds) throw new InputError(`${name} must be ${wanted}, got ${got}`);
}
