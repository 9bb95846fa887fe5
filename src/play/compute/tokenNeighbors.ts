import { rows } from '../../../reference/lib/tensor.js';
import type { Backend } from '../../browser.js';
import type { LanguageModel } from '../../languageModel.js';
import { centered, nearest } from '../../lens.js';
import type { Near, Progress } from './protocol.js';

/** Tokens between two reports, after each of which the worker may answer others or be told to stop. */
const STRIDE = 32;

/** The code of every token, and its state after each layer if it stood behind the same beginning. */
export interface TokenVectors {
  codes: Float64Array[];
  /** [layer][token] */
  states: Float64Array[][];
}

/** Puts every token of the vocabulary behind a beginning, and collects its states. The mean is subtracted. */
export async function* tokenVectors(
  { config, model }: LanguageModel,
  backend: Backend,
  beginning: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<Progress, TokenVectors, undefined> {
  const { nLayer, vocabSize, normPosition } = config;
  const last = normPosition === 'pre' ? 'resid' : 'ffn_norm';
  const layerOf = new Map(Array.from({ length: nLayer }, (_, n) => [`layers.${n}.${last}`, n]));
  const states: Float64Array[][] = Array.from({ length: nLayer }, () => []);
  const session = backend.openSession();
  try {
    if (beginning.length > 0) await session.forward(beginning);
    for (let id = 0; id < vocabSize; id++) {
      const fork = await session.fork();
      try {
        await fork.forward([id], {
          trace: (name, value) => {
            const layer = layerOf.get(name);
            if (layer !== undefined) states[layer].push(Float64Array.from(value.data));
          },
        });
      } finally {
        await fork.dispose();
      }
      if (id % STRIDE === STRIDE - 1) {
        yield { done: id + 1, total: vocabSize };
        await new Promise((resolve) => setTimeout(resolve)); // lets messages in
        signal.throwIfAborted();
      }
    }
  } finally {
    await session.dispose();
  }
  const codes = Array.from({ length: vocabSize }, (_, id) =>
    Float64Array.from(rows(model.weights.embedding, id, id + 1).data),
  );
  return { codes: centered(codes), states: states.map(centered) };
}

/** The tokens nearest to one, nearest first, by the cosine. */
export function nearestTokens(
  vectors: readonly Float64Array[],
  id: number,
  count: number,
  textOf: (id: number) => string,
): Near[] {
  const ids = vectors.map((_, n) => String(n));
  return nearest(vectors, ids, id)
    .slice(0, count)
    .map(({ text, cosine }) => ({ id: Number(text), text: textOf(Number(text)), cosine }));
}
