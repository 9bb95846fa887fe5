import type { ModelConfig } from './lib/config.js';
import type { Tensor } from './lib/tensor.js';
import { noTrace, type Trace } from './lib/trace.js';
import type { BlockWeights, LayerNormWeights } from './lib/weights.js';
import { add } from './add.js';
import { attention } from './attention.js';
import { feedForward } from './feedForward.js';
import { layerNorm } from './layerNorm.js';
import { linear } from './linear.js';
import { rope, type RopeTables } from './rope.js';

/** Takes the keys and values of new tokens and returns those of all tokens, [S, C] each. */
export type Remember = (k: Tensor, v: Tensor) => [k: Tensor, v: Tensor];

/**
 * One of the L blocks: attention, then feed-forward, each added to the residual stream.
 *
 *     pre:   x ← x + attend(norm(x));   x ← x + feedForward(norm(x))
 *     post:  x ← norm(x + attend(x));   x ← norm(x + feedForward(x))
 *
 * @param x [T, C]
 * @param tables rotary angles of these T positions
 * @param remember adds the keys and values of earlier tokens; without it the T tokens are the whole sequence
 * @returns [T, C]
 * @see golden `models`, which hold every activation named here
 */
export function block(
  x: Tensor,
  weights: BlockWeights,
  config: ModelConfig,
  tables: RopeTables,
  remember: Remember = (k, v) => [k, v],
  trace: Trace = noTrace,
): Tensor {
  function traced(name: string, value: Tensor): Tensor {
    trace(name, value);
    return value;
  }
  function norm(name: string, layer: LayerNormWeights, y: Tensor): Tensor {
    return traced(name, layerNorm(y, layer, config.layerNormEps));
  }
  function attend(y: Tensor): Tensor {
    const { nHead: H, ropePairing } = config;
    const q = traced('q', linear(y, weights.qProj)); // [T, C]
    const k = traced('k', linear(y, weights.kProj));
    const v = traced('v', linear(y, weights.vProj));
    const qRot = traced('q_rot', rope(q, H, tables, ropePairing));
    const kRot = traced('k_rot', rope(k, H, tables, ropePairing));
    const [keys, values] = remember(kRot, v); // [T, C] -> [S, C]
    const gathered = traced('attn', attention(qRot, keys, values, H)); // [T, C]
    return traced('attn_out', linear(gathered, weights.oProj));
  }
  function feed(y: Tensor): Tensor {
    return feedForward(y, weights.ffnUp, weights.ffnDown, config.geluApproximate, trace);
  }

  if (config.normPosition === 'pre') {
    x = traced('resid_mid', add(x, attend(norm('attn_norm', weights.attnNorm, x))));
    return traced('resid', add(x, feed(norm('ffn_norm', weights.ffnNorm, x))));
  }
  x = norm('attn_norm', weights.attnNorm, traced('resid_mid', add(x, attend(x))));
  return norm('ffn_norm', weights.ffnNorm, traced('resid', add(x, feed(x))));
}
