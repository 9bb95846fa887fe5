import { createSampler } from '../sample.js';

/** How tokens are chosen, with the names of the API. */
export interface ChoiceOptions {
  temperature: number;
  topP: number;
  topK: number;
  presencePenalty: number;
  frequencyPenalty: number;
  /** What to add to the logits of some tokens. */
  logitBias: ReadonlyMap<number, number>;
  seed: number;
}

/** Chooses the next token from logits [V], given the tokens generated so far. */
export type Choose = (logits: Float32Array, generated: readonly number[]) => number;

/**
 * Makes what chooses the tokens of one sequence. As in the OpenAI API, a token that was generated c times loses
 * c · frequency + (c > 0) · presence before anything else; the prompt does not count.
 */
export function createChoice(options: ChoiceOptions): Choose {
  const { temperature, topP, topK, seed, presencePenalty, frequencyPenalty, logitBias } = options;
  const sample = createSampler({ temperature, topP, topK, seed });
  if (presencePenalty === 0 && frequencyPenalty === 0 && logitBias.size === 0) return sample;
  return (logits, generated) => {
    const adjusted = logits.slice();
    for (const [id, bias] of logitBias) adjusted[id] += bias;
    for (const id of generated) adjusted[id] -= frequencyPenalty;
    for (const id of new Set(generated)) adjusted[id] -= presencePenalty;
    return sample(adjusted, generated);
  };
}
