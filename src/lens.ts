import { layerNorm, lmHead } from '../reference/index.js';
import { withSession, type Session } from './backend.js';
import { requireFinite } from './finite.js';
import { checkModel } from '../reference/lib/checkModel.js';
import { InputError } from '../reference/lib/errors.js';
import { patchTrace, type Patch } from './patch.js';
import { quote } from './lib/quote.js';
import { rows, type Tensor } from '../reference/lib/tensor.js';
import type { LoadedModel } from './backend.js';

/** The residual stream after every layer: L tensors [T, C]. */
async function states(
  session: Session,
  model: LoadedModel,
  ids: readonly number[],
  patches: readonly Patch[] = [],
): Promise<Tensor[]> {
  const { nLayer: L, normPosition } = model.config;
  const last = normPosition === 'pre' ? 'resid' : 'ffn_norm'; // the output of a layer
  const wanted = new Set(Array.from({ length: L }, (_, n) => `layers.${n}.${last}`));
  const found: Tensor[] = [];
  session.reset();
  await session.forward(ids, {
    trace: patchTrace(patches, model, ids.length, (name, value) => {
      if (wanted.has(name)) found.push(value);
    }),
  });
  return found;
}

/** The most probable next token, and its probability. */
export interface Guess {
  id: number;
  probability: number;
}

/**
 * The logit lens (nostalgebraist 2020): what the model would predict if it stopped after each layer and applied its own
 * final norm and head.
 *
 * @param patches interventions of the pass, on the reference only
 * @returns guesses [layer][token]; those of the last layer are the model's own predictions
 * @throws EmergentError if logits are NaN, or all -Infinity; InputError for a patch after the last layer, which it does not read
 */
export async function logitLens(
  model: LoadedModel,
  ids: readonly number[],
  backend?: string,
  patches: readonly Patch[] = [],
): Promise<Guess[][]> {
  checkModel(model);
  const late = patches.find(({ name }) => name === 'final_norm' || name === 'logits');
  if (late)
    throw new InputError(`the lens reads the states after each layer, so patching ${late.name} changes nothing`);
  const { finalNorm, lmHead: head } = model.weights;
  const found = await withSession(model, backend, (session) => states(session, model, ids, patches));
  return found.map((x, n) => {
    const logits = lmHead(finalNorm ? layerNorm(x, finalNorm, model.config.layerNormEps) : x, head);
    const guesses = ids.map((_, t) => bestGuess(rows(logits, t, t + 1).data));
    requireFinite(
      guesses.map(({ probability }) => probability),
      (_, t) => `the logits after layer ${n + 1}, position ${t}, give no probabilities`,
    );
    return guesses;
  });
}

/** The probability is NaN if a logit is NaN, or if all are -Infinity. */
function bestGuess(logits: Float32Array | Float64Array): Guess {
  let id = 0;
  for (let v = 0; v < logits.length; v++) if (logits[v] > logits[id]) id = v;
  const best = logits[id];
  let sum = 0;
  for (const x of logits) sum += x === best ? 1 : Math.exp(x - best);
  return { id, probability: best === -Infinity ? NaN : 1 / sum };
}

/** A text, and the cosine between its vector and another one's. */
export interface Neighbor {
  text: string;
  cosine: number;
}

/** The prompt around each text; every `{}` is replaced by the text. */
export const CARRIER = 'Question: Tell me about {}.\nAnswer:';

/**
 * The vector of each text in the frozen table and after every layer.
 *
 * In the table, the vector is the mean of the codes of the text's tokens. After a layer, it is the residual stream at the
 * last token of the carrier, where the model is about to describe the text. The mean over all texts is subtracted.
 *
 * @param encode tokenizes a text
 * @returns vectors [layer][text]; index 0 is the table
 * @throws InputError for fewer than two texts, an empty text, or a carrier without `{}`; EmergentError for a vector with NaN
 *   or Infinity
 */
export async function positions(
  model: LoadedModel,
  texts: readonly string[],
  encode: (text: string) => number[],
  carrier: string = CARRIER,
  backend?: string,
): Promise<Float64Array[][]> {
  checkModel(model);
  if (texts.length < 2) throw new InputError('nothing to compare: give at least two texts');
  if (!carrier.includes('{}')) throw new InputError(`the carrier ${quote(carrier)} has no {} for the text`);
  const layers: Float64Array[][] = Array.from({ length: model.config.nLayer + 1 }, () => []);
  await withSession(model, backend, async (session) => {
    for (const text of texts) {
      const own = encode(text);
      if (own.length === 0) throw new InputError('one of the texts is empty: the model needs at least one token');
      layers[0].push(average(own.map((id) => rows(model.weights.embedding, id, id + 1).data)));
      const ids = encode(carrier.replaceAll('{}', () => text));
      (await states(session, model, ids)).forEach((x, n) => {
        layers[n + 1].push(Float64Array.from(rows(x, ids.length - 1, ids.length).data));
      });
    }
  });
  layers.forEach((vectors, n) => {
    const place = n === 0 ? 'in the frozen table' : `after layer ${n}`;
    for (const [i, vector] of vectors.entries()) {
      requireFinite(vector, (value) => `the vector of ${quote(texts[i])} ${place} contains ${value}`);
    }
  });
  return layers.map(centered);
}

/** Vectors less their mean. */
export function centered(vectors: readonly Float64Array[]): Float64Array[] {
  const common = average(vectors);
  return vectors.map((vector) => vector.map((value, i) => value - common[i]));
}

/** The other texts, nearest first. */
export function nearest(vectors: readonly Float64Array[], texts: readonly string[], of: number): Neighbor[] {
  return texts
    .map((text, i) => ({ text, cosine: cosine(vectors[of], vectors[i]) }))
    .filter((_, i) => i !== of)
    .sort((a, b) => b.cosine - a.cosine);
}

function average(vectors: readonly ArrayLike<number>[]): Float64Array {
  const sum = new Float64Array(vectors[0].length);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i] += vector[i] / vectors.length;
  return sum;
}

/** a · b / (‖a‖ ‖b‖); 0 if a vector is 0. */
function cosine(a: Float64Array, b: Float64Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
