/**
 * The sampler as it was before partial selection: it sorts the whole vocabulary with a callback. The tests compare
 * `createSampler` with it, and the benchmark measures both.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { mersenne } from 'pure-rand/generator/mersenne';
import { argmax, type SampleOptions, type Sampler } from '../../src/sample.js';

export function createSortingSampler(options: SampleOptions = {}): Sampler {
  const { temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1, seed = 0 } = options;
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
