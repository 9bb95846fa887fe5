import { checkTokens } from './lib/checkTokens.js';
import { rows, type Tensor } from './lib/tensor.js';
import { noTrace, prefixed, type Trace } from './lib/trace.js';
import type { Model } from './lib/weights.js';
import { block } from './block.js';
import { embedding } from './embedding.js';
import type { KvCache } from './kvCache.js';
import { layerNorm } from './layerNorm.js';
import { lmHead } from './lmHead.js';
import { repeatInterleave } from './repeatInterleave.js';
import { ropeTables } from './rope.js';

export interface ForwardOptions {
  /** Continue after the tokens held here, and hold these as well. */
  cache?: KvCache | undefined;
  /** Score the token after each position, or only after the last one, which saves most of the head's work. */
  logits?: 'all' | 'last' | undefined;
  /** Called with every named activation. */
  trace?: Trace | undefined;
}

/**
 * The whole forward pass: what the model thinks comes next.
 *
 * @param ids T token ids, at most block_size together with those in the cache
 * @returns logits [T, V], or [1, V] for `logits: 'last'`: the higher, the likelier as the next token
 * @throws InputError for no tokens, too many, or an id outside of the vocabulary
 * @see golden `models`; `golden/model.py`
 */
export function forward(ids: readonly number[], { config, weights }: Model, options: ForwardOptions = {}): Tensor {
  const { cache, logits = 'all', trace = noTrace } = options;
  const { dModel: C, nEmbed: E, nHead: H } = config;
  const T = ids.length;
  const past = cache?.length ?? 0;
  checkTokens(ids, past, config);

  const codes = embedding(ids, weights.embedding); // [T, E]
  trace('embedding', codes);

  let x = repeatInterleave(codes, C / E); // [T, E] -> [T, C]
  trace('expanded', x);

  const tables = ropeTables(C / H, config.ropeTheta, past, T);
  weights.blocks.forEach((layer, n) => {
    const remember = cache && ((k: Tensor, v: Tensor) => cache.append(n, k, v));
    x = block(x, layer, config, tables, remember, prefixed(trace, `layers.${n}.`)); // [T, C]
  });
  cache?.advance(T);

  if (weights.finalNorm) {
    x = layerNorm(x, weights.finalNorm, config.layerNormEps);
    trace('final_norm', x);
  }
  if (logits === 'last') x = rows(x, T - 1, T); // [T, C] -> [1, C]
  const scores = lmHead(x, weights.lmHead); // [T, V] or [1, V]
  trace('logits', scores);
  return scores;
}
