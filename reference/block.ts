import { add } from './add.js';
import { attention } from './attention.js';
import { feedForward } from './feedForward.js';
import { layerNorm } from './layerNorm.js';
import type { ModelConfig } from './lib/config.js';
import { InputError } from './lib/errors.js';
import { zerosLike, type Tensor } from './lib/tensor.js';
import { noTrace, traced, type Trace } from './lib/trace.js';
import type { BlockWeights, LayerNormWeights } from './lib/weights.js';
import { linear } from './linear.js';
import { rope, type RopeTables } from './rope.js';

/** Takes the keys and values of new tokens, [T, C] each, and returns those of all tokens so far, [S, C] each. */
export type Remember = (k: Tensor, v: Tensor) => [k: Tensor, v: Tensor];

export interface BlockOptions {
  /** Adds the keys and values of earlier tokens. Without it the T tokens are the whole sequence: S = T. */
  remember?: Remember | undefined;
  /** Called with every named activation; may replace it. */
  trace?: Trace | undefined;
  /** Trace the attention weights, [H, T, S], too. */
  attnWeights?: boolean | undefined;
}

/**
 * One of the L blocks: attention, then feed-forward, each added to the residual stream.
 *
 *     pre:   x ← x + attend(norm(x));   x ← x + feedForward(norm(x))
 *     post:  x ← norm(x + attend(x));   x ← norm(x + feedForward(x))
 *
 * Pre-norm: Xiong et al. 2020, arXiv 2002.04745. Post-norm: Vaswani et al. 2017, arXiv 1706.03762, section 3.1.
 *
 * @param x [T, C], the residual stream
 * @param tables rotary angles of these T positions
 * @returns [T, C]
 * @see golden `models`, which hold every activation named here
 *
 * @example With weights of 0 both halves add 0, and the residual stream passes through.
 * ```ts
 * const norm = { weight: vector([1, 1]), bias: null }; // C = 2
 * const zero = { weight: tensor([2, 2]), bias: null };
 * const attention = { attnNorm: norm, qProj: zero, kProj: zero, vProj: zero, oProj: zero };
 * const up = { weight: tensor([8, 2]), bias: null };
 * const down = { weight: tensor([2, 8]), bias: null };
 * const weights = { ...attention, ffnNorm: norm, ffnUp: up, ffnDown: down };
 * const config = { nHead: 1, ropePairing: 'half', geluApproximate: 'none', normPosition: 'pre', layerNormEps: 1e-5 };
 * block(matrix([[3, 5]]), weights, config, ropeTables(2, 10000, 0, 1)).data; // => [3, 5]
 * ```
 */
export function block(
  x: Tensor,
  weights: BlockWeights,
  config: BlockConfig,
  tables: RopeTables,
  options: BlockOptions = {},
): Tensor {
  const { trace = noTrace } = options;
  function norm(name: string, layer: LayerNormWeights, y: Tensor): Tensor {
    return traced(trace, name, layerNorm(y, layer, config.layerNormEps));
  }
  function attend(y: Tensor): Tensor {
    return attentionHalf(y, weights, config, tables, options);
  }
  function feed(y: Tensor): Tensor {
    return feedForward(y, weights.ffnUp, weights.ffnDown, config.geluApproximate, trace);
  }

  if (config.normPosition === 'pre') {
    const gathered = attend(norm('attn_norm', weights.attnNorm, x)); // [T, C]
    const middle = traced(trace, 'resid_mid', add(x, gathered)); // [T, C]
    const computed = feed(norm('ffn_norm', weights.ffnNorm, middle)); // [T, C]
    return traced(trace, 'resid', add(middle, computed)); // [T, C]
  }
  const middle = norm('attn_norm', weights.attnNorm, traced(trace, 'resid_mid', add(x, attend(x)))); // [T, C]
  return norm('ffn_norm', weights.ffnNorm, traced(trace, 'resid', add(middle, feed(middle)))); // [T, C]
}

/** What a block reads of the configuration. */
export type BlockConfig = Pick<
  ModelConfig,
  'nHead' | 'ropePairing' | 'geluApproximate' | 'normPosition' | 'layerNormEps'
>;

/** The half in which tokens exchange information: [T, C] → [T, C]. */
function attentionHalf(
  x: Tensor,
  weights: BlockWeights,
  { nHead: H, ropePairing }: BlockConfig,
  tables: RopeTables,
  { remember = (k, v) => [k, v], trace = noTrace, attnWeights = false }: BlockOptions,
): Tensor {
  const q = traced(trace, 'q', linear(x, weights.qProj)); // [T, C], H heads of width D
  const k = traced(trace, 'k', linear(x, weights.kProj)); // [T, C]
  const v = traced(trace, 'v', linear(x, weights.vProj)); // [T, C]
  const qRot = traced(trace, 'q_rot', rope(q, H, tables, ropePairing)); // [T, C]
  const kRot = traced(trace, 'k_rot', rope(k, H, tables, ropePairing)); // [T, C]
  const [keys, values] = remember(kRot, v); // [T, C] → [S, C]
  const shares = attnWeights ? zerosLike(x, [H, x.shape[0], keys.shape[0]]) : undefined; // [H, T, S]
  const attn = attention(qRot, keys, values, H, shares); // [T, C]
  if (shares && trace('attn_weights', shares)) throw new InputError('trace: attn_weights cannot be replaced');
  return traced(trace, 'attn_out', linear(traced(trace, 'attn', attn), weights.oProj)); // [T, C]
}
