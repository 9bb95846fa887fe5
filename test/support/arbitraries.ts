import fc from 'fast-check';
import type { ModelConfig } from '../../reference/lib/config.js';
import { sizeOf, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights, Model } from '../../reference/lib/weights.js';

/** Float32 numbers in [-limit, limit], the range of typical activations. */
export function float32(limit = 8): fc.Arbitrary<number> {
  return fc.float({ min: -Math.fround(limit), max: Math.fround(limit), noNaN: true });
}

export function tensorOf(shape: readonly number[], limit = 8): fc.Arbitrary<Float32Tensor> {
  const size = sizeOf(shape);
  return fc
    .array(float32(limit), { minLength: size, maxLength: size })
    .map((values) => tensor(shape, Float32Array.from(values)));
}

/** A matrix of 1 to `maxRows` rows and 1 to `maxColumns` columns. */
export function matrix(maxRows = 6, maxColumns = 12, limit = 8): fc.Arbitrary<Float32Tensor> {
  return fc
    .tuple(fc.integer({ min: 1, max: maxRows }), fc.integer({ min: 1, max: maxColumns }))
    .chain((shape) => tensorOf(shape, limit));
}

/** Repeatable pseudo-random numbers in [-1, 1), for weights too many to generate with fast-check. */
export function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export const TINY: ModelConfig = {
  modelType: 'tiny',
  vocabSize: 40,
  blockSize: 16,
  nEmbed: 4,
  dModel: 16,
  nLayer: 2,
  nHead: 2,
  padId: 0,
  ropePairing: 'half',
  ropeTheta: 10000,
  geluApproximate: 'none',
  normPosition: 'pre',
  layerNormEps: 1e-5,
};

/** A small model with random weights, large enough that attention is far from uniform. */
export function tinyModel(overrides: Partial<ModelConfig> = {}, seed = 1): Model {
  const config = { ...TINY, ...overrides };
  const { vocabSize: V, nEmbed: E, dModel: C, nLayer: L } = config;
  const next = noise(seed);
  const fill = (shape: number[], scale: number, offset = 0): Float32Tensor =>
    tensor(
      shape,
      new Float32Array(sizeOf(shape)).map(() => offset + scale * next()),
    );
  const norm = (): LayerNormWeights => ({ weight: fill([C], 0.5, 1), bias: fill([C], 0.2) });
  const linear = (N: number, K: number, biased: boolean): LinearWeights => ({
    weight: fill([N, K], 2 / Math.sqrt(K)),
    bias: biased ? fill([N], 0.2) : null,
  });
  return {
    config,
    weights: {
      embedding: fill([V, E], 1),
      blocks: Array.from({ length: L }, () => ({
        attnNorm: norm(),
        qProj: linear(C, C, false),
        kProj: linear(C, C, false),
        vProj: linear(C, C, false),
        oProj: linear(C, C, false),
        ffnNorm: norm(),
        ffnUp: linear(4 * C, C, true),
        ffnDown: linear(C, 4 * C, true),
      })),
      finalNorm: norm(),
      lmHead: linear(V, C, true),
    },
  };
}
