import type { ModelConfig } from '../../reference/lib/config.js';
import type { Activation, CachedSpan, Pass } from './pass.js';
import type { SimdBlock, SimdLayerNorm, SimdRopeTables } from './upload.js';

/**
 * Plans one of the L blocks: attention, then feed-forward. Each adds its output to the residual stream.
 *
 * @param x [T, C]
 * @param spans which rows of x belong to which sequence, and where this layer stores their keys and values
 * @returns [T, C]
 * @see reference/block.ts
 */
export function block(
  pass: Pass,
  x: Activation,
  layer: SimdBlock,
  { normPosition, geluApproximate }: ModelConfig,
  tables: SimdRopeTables,
  spans: readonly CachedSpan[],
): Activation {
  const { H } = tables;

  function norm(name: string, weights: SimdLayerNorm, y: Activation): Activation {
    return pass.layerNorm(name, y, weights);
  }
  function attend(y: Activation): Activation {
    const [q, k, v] = pass.independent(() => [
      pass.linear('q', y, layer.qProj),
      pass.linear('k', y, layer.kProj),
      pass.linear('v', y, layer.vProj),
    ]);
    const [qRot, kRot] = pass.independent(() => [
      pass.rope('q_rot', q, tables, spans),
      pass.rope('k_rot', k, tables, spans),
    ]);
    pass.independent(() => {
      pass.appendKv(kRot, 'keys', H, spans);
      pass.appendKv(v, 'values', H, spans);
    });
    return pass.linear('attn_out', pass.attention('attn', qRot, H, spans), layer.oProj);
  }
  function feed(y: Activation): Activation {
    const up = pass.linear('ffn_up', y, layer.ffnUp); // [T, C] -> [T, 4C]
    return pass.linear('ffn_out', pass.gelu('ffn_act', up, geluApproximate), layer.ffnDown); // -> [T, C]
  }

  if (normPosition === 'pre') {
    x = pass.add('resid_mid', x, attend(norm('attn_norm', layer.attnNorm, x)));
    return pass.add('resid', x, feed(norm('ffn_norm', layer.ffnNorm, x)));
  }
  x = norm('attn_norm', layer.attnNorm, pass.add('resid_mid', x, attend(x)));
  return norm('ffn_norm', layer.ffnNorm, pass.add('resid', x, feed(x)));
}
