import type { ModelConfig } from '../../reference/lib/config.js';
import type { KvCache } from './kvCache.js';
import type { Activation, Pass } from './pass.js';
import type { SimdBlock, SimdLayerNorm, SimdRopeTables } from './upload.js';

/**
 * Plans one of the L blocks: attention, then feed-forward. Each adds its output to the residual stream.
 *
 * @param x [T, C]
 * @param n index of the block
 * @returns [T, C]
 * @see reference/block.ts
 */
export function block(
  pass: Pass,
  x: Activation,
  layer: SimdBlock,
  n: number,
  { normPosition, geluApproximate }: ModelConfig,
  tables: SimdRopeTables,
  cache: KvCache,
): Activation {
  const past = cache.length;
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
      pass.rope('q_rot', q, tables, past),
      pass.rope('k_rot', k, tables, past),
    ]);
    const pages = cache.pages(n);
    pass.independent(() => {
      pass.appendKv(kRot, pages.keys, H, past);
      pass.appendKv(v, pages.values, H, past);
    });
    return pass.linear('attn_out', pass.attention('attn', qRot, pages, H, past), layer.oProj);
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
