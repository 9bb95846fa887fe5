import { checkModel } from './lib/checkModel.js';
import { checkTokens } from './lib/checkTokens.js';
import { inPrecision, rows, type Float32Tensor, type Precision, type Tensor } from './lib/tensor.js';
import { noTrace, prefixed, traced, type Trace } from './lib/trace.js';
import type { Model } from './lib/weights.js';
import { block } from './block.js';
import { embedding } from './embedding.js';
import type { KvCache } from './kvCache.js';
import { layerNorm } from './layerNorm.js';
import { lmHead } from './lmHead.js';
import { repeatInterleave } from './repeatInterleave.js';
import { ropeTables } from './rope.js';

export interface ForwardOptions {
  /** Holds the tokens so far; the new ones continue them and are added. */
  cache?: KvCache | undefined;
  /** Score the token after each position (the default), or only after the last one, which saves most of the head's work. */
  logits?: 'all' | 'last' | undefined;
  /** The format of activations and logits: `float32` (the default), or `float64`, in which no op rounds its result. */
  precision?: Precision | undefined;
  /** Called with every named activation; may replace it. */
  trace?: Trace | undefined;
  /** Trace every layer's attention weights, `attn_weights` [H, T, S], too. */
  attnWeights?: boolean | undefined;
}

/** The options of a pass whose logits are float32. */
export type Float32Options = ForwardOptions & { precision?: 'float32' | undefined };

/**
 * The whole forward pass: scores every token of the vocabulary as the next one.
 *
 * @param ids T token ids, at most block_size together with those in the cache
 * @returns logits [T, V], or [1, V] for `logits: 'last'`; a softmax of a row gives the probabilities of the next token
 * @throws InputError for no tokens, too many, an id outside the vocabulary, or something that is not a model
 * @see golden `models`; `golden/model.py`
 *
 * @example A model without blocks predicts from each token's code alone. V = 2, E = 1, C = 2.
 * ```ts
 * const config = { nLayer: 0, nHead: 1, dModel: 2, nEmbed: 1, vocabSize: 2, blockSize: 4, ropeTheta: 10000 };
 * const lmHead = { weight: matrix([[1, 1], [2, -1]]), bias: vector([0, 5]) };
 * const weights = { embedding: matrix([[3], [7]]), blocks: [], finalNorm: null, lmHead };
 * forward([0, 1], { config, weights }).data; // => [6, 8, 14, 12]
 * ```
 */
export function forward(ids: readonly number[], model: Model, options?: Float32Options): Float32Tensor;
export function forward(ids: readonly number[], model: Model, options: ForwardOptions): Tensor;
export function forward(ids: readonly number[], model: Model, options: ForwardOptions = {}): Tensor {
  checkModel(model);
  const { config, weights } = model;
  const { cache, logits = 'all', precision = 'float32', trace = noTrace, attnWeights } = options;
  const { dModel: C, nEmbed: E, nHead: H } = config;
  const T = ids.length;
  const past = cache?.length ?? 0;
  checkTokens(ids, past, config);

  const codes = traced(trace, 'embedding', inPrecision(precision, embedding(ids, weights.embedding))); // [T] → [T, E]
  let x = traced(trace, 'expanded', repeatInterleave(codes, C / E)); // [T, E] → [T, C]

  const tables = ropeTables(C / H, config.ropeTheta, past, T);
  weights.blocks.forEach((layer, n) => {
    const remember = cache && ((k: Tensor, v: Tensor) => cache.append(n, k, v));
    x = block(x, layer, config, tables, { remember, trace: prefixed(trace, `layers.${n}.`), attnWeights }); // [T, C]
  });
  cache?.advance(T);

  if (weights.finalNorm) {
    x = traced(trace, 'final_norm', layerNorm(x, weights.finalNorm, config.layerNormEps)); // [T, C]
  }
  if (logits === 'last') x = rows(x, T - 1, T); // [T, C] → [1, C]
  return traced(trace, 'logits', lmHead(x, weights.lmHead)); // [T, V] or [1, V]
}
