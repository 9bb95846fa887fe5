import type { ModelConfig } from './config.js';
import type { Tensor } from './tensor.js';

/** A matrix in PyTorch's order, [out, in], and a vector [out] or null where the layer has none. */
export interface LinearWeights {
  weight: Tensor;
  bias: Tensor | null;
}

/** A scale and a shift for each of the C elements; the shift is null where the layer has none. */
export interface LayerNormWeights {
  weight: Tensor;
  bias: Tensor | null;
}

/** What one of the L blocks has learned. */
export interface BlockWeights {
  attnNorm: LayerNormWeights;
  qProj: LinearWeights; // [C, C]
  kProj: LinearWeights; // [C, C]
  vProj: LinearWeights; // [C, C]
  oProj: LinearWeights; // [C, C]
  ffnNorm: LayerNormWeights;
  ffnUp: LinearWeights; // [4C, C]
  ffnDown: LinearWeights; // [C, 4C]
}

/** Everything that a checkpoint holds. Only `blocks`, `finalNorm` and `lmHead` were trained. */
export interface ModelWeights {
  embedding: Tensor; // [V, E], frozen
  blocks: BlockWeights[]; // L of them
  finalNorm: LayerNormWeights | null;
  lmHead: LinearWeights; // [V, C], not tied to the embedding
}

/** A model: what it is and what it knows. */
export interface Model {
  config: ModelConfig;
  weights: ModelWeights;
}
