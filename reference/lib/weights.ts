import type { ModelConfig } from './config.js';
import type { Float32Tensor } from './tensor.js';

/** A matrix in PyTorch's order, [N, K] (outputs, inputs), and a bias [N], or null for a layer without one. */
export interface LinearWeights {
  weight: Float32Tensor;
  bias: Float32Tensor | null;
}

/** A scale for each of the C elements and a bias, null for a layer without one. */
export interface LayerNormWeights {
  weight: Float32Tensor;
  bias: Float32Tensor | null;
}

/** What one of the L blocks learned. */
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

/** All weights of a checkpoint. Only `blocks`, `finalNorm` and `lmHead` were trained. */
export interface ModelWeights {
  embedding: Float32Tensor; // [V, E], frozen
  blocks: BlockWeights[]; // L of them
  finalNorm: LayerNormWeights | null;
  lmHead: LinearWeights; // [V, C], not tied to the embedding
}

/** A model: its hyperparameters and its weights. */
export interface Model {
  config: ModelConfig;
  weights: ModelWeights;
}
