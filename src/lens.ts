import { layerNorm, lmHead } from '../reference/index.js';
import { openSession } from './backend.js';
import { rows, type Tensor } from './tensor.js';
import type { Model } from './weights.js';

/** The residual stream after every layer: L tensors [T, C]. */
async function states(model: Model, ids: readonly number[], backend?: string): Promise<Tensor[]> {
  const { nLayer: L, normPosition } = model.config;
  const last = normPosition === 'pre' ? 'resid' : 'ffn_norm'; // what leaves a layer
  const wanted = new Set(Array.from({ length: L }, (_, n) => `layers.${n}.${last}`));
  const found: Tensor[] = [];
  const session = await openSession(model, backend);
  try {
    await session.forward(ids, {
      trace: (name, value) => {
        if (wanted.has(name)) found.push(value);
      },
    });
  } finally {
    await session.dispose();
  }
  return found;
}

/** A token that the head would choose, and the probability that it would give it. */
export interface Guess {
  id: number;
  probability: number;
}

/**
 * The logit lens (nostalgebraist 2020): what the model would predict if it stopped after a layer, by its own final norm
 * and head.
 *
 * @returns [layer][token]; after the last layer it is the model's own prediction
 */
export async function logitLens(model: Model, ids: readonly number[], backend?: string): Promise<Guess[][]> {
  const { finalNorm, lmHead: head } = model.weights;
  return (await states(model, ids, backend)).map((x) => {
    const logits = lmHead(finalNorm ? layerNorm(x, finalNorm, model.config.layerNormEps) : x, head);
    return ids.map((_, t) => bestGuess(rows(logits, t, t + 1).data));
  });
}

function bestGuess(logits: Float32Array): Guess {
  let id = 0;
  for (let v = 0; v < logits.length; v++) if (logits[v] > logits[id]) id = v;
  const sum = logits.reduce((total, x) => total + Math.exp(x - logits[id]), 0);
  return { id, probability: 1 / sum };
}
