import type { Dtype } from '../../reference/lib/compactTensor.js';
import { packTensor } from '../../reference/lib/pack.js';
import type { LinearWeights, Model } from '../../reference/lib/weights.js';

export function packed(layer: LinearWeights, dtype: Dtype): LinearWeights {
  return dtype === 'f32' ? layer : { ...layer, weight: packTensor(layer.weight, dtype) };
}

/** A model whose matrices are of a dtype. */
export function packedModel({ config, weights }: Model, dtype: Dtype): Model {
  const blocks = weights.blocks.map((block) => ({
    ...block,
    qProj: packed(block.qProj, dtype),
    kProj: packed(block.kProj, dtype),
    vProj: packed(block.vProj, dtype),
    oProj: packed(block.oProj, dtype),
    ffnUp: packed(block.ffnUp, dtype),
    ffnDown: packed(block.ffnDown, dtype),
  }));
  return { config, weights: { ...weights, blocks, lmHead: packed(weights.lmHead, dtype) } };
}
