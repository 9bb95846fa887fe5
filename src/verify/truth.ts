import { forward } from '../../reference/index.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CompactTensor, type Dtype } from '../../reference/lib/compactTensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { floatModel } from '../checkpoint/assemble.js';
import { GOLDEN_FORMAT, type Golden } from './golden.js';

/** The number of tokens that {@link defaultTokens} gives, if they fit the model. */
const DEFAULT_LENGTH = 16;

/** The golden ratio, whose multiples spread evenly between 0 and 1. */
const RATIO = (Math.sqrt(5) - 1) / 2;

/**
 * Computes the truth for a model's own weights, whatever their format: the reference with float64 between ops. It is
 * within 1e-13 of PyTorch float64 (`test/golden/float64.test.ts`).
 *
 * @param attnWeights include the attention weights
 * @throws InputError for tokens that the model cannot take.
 */
export function computeTruth(model: Model, tokens: readonly number[], attnWeights = false): Golden {
  const tensors: Golden['tensors'] = new Map();
  forward(tokens, floatModel(model), {
    precision: 'float64',
    attnWeights,
    trace: (name, { data, shape }) => {
      tensors.set(name, { data: Float64Array.from(data), shape, step: 1, norm: null, dtype: 'F64' });
    },
  });
  const dtype = linearDtype(model);
  const producer = `emergent-semantics reference${dtype === 'f32' ? '' : ` with ${dtype} weights`}`;
  return {
    name: 'the reference in float64',
    header: { format: GOLDEN_FORMAT, producer, precision: 'float64', tokens: [...tokens] },
    tensors,
  };
}

/** The number format of the linear layers within blocks; without blocks, of the head. */
export function linearDtype({ weights: { blocks, lmHead } }: Model): Dtype {
  const { weight } = blocks.at(0)?.qProj ?? lmHead;
  return weight instanceof CompactTensor ? weight.dtype : 'f32';
}

/** A short sequence for a model of which nothing else is known: ids spread over the vocabulary, the same each time. */
export function defaultTokens({ vocabSize, blockSize }: Pick<ModelConfig, 'vocabSize' | 'blockSize'>): number[] {
  return Array.from({ length: Math.min(DEFAULT_LENGTH, blockSize) }, (_, t) =>
    Math.floor(((t * RATIO) % 1) * vocabSize),
  );
}
