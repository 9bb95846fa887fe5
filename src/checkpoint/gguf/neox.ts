import { InputError } from '../../../reference/lib/errors.js';
import { sizeOf, tensor, type Float32Tensor, type Floats } from '../../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights, Model } from '../../../reference/lib/weights.js';
import { repeatInterleave } from '../../../reference/repeatInterleave.js';
import { BLOCKS, packBlocks, type GgufType } from './blocks.js';
import type { GgufTensor, GgufValue } from './container.js';

export interface NeoxOptions {
  /** Leave out a bias of the head that is not zero. */
  dropHeadBias?: boolean | undefined;
}

/** What a file of llama.cpp's architecture `gptneox` holds of a model. */
export interface NeoxModel {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufTensor[];
  /** What llama.cpp will compute differently, one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Expresses a model in llama.cpp's architecture `gptneox`, with sequential residuals: the frozen table is expanded to the
 * model's width, q, k and v are one matrix, and biases that do not exist are zero. Matrices get `type`, the rest stays
 * float32; a matrix whose rows are no multiple of the type's block stays float16, as in llama.cpp's own converter.
 *
 * @throws InputError for what `gptneox` cannot hold: interleaved pairing, post-norm, no final norm, a bias of the head.
 */
export function toNeox({ config, weights }: Model, type: GgufType, options: NeoxOptions = {}): NeoxModel {
  const { dModel: C, nEmbed: E, nHead: H, nLayer: L } = config;
  if (config.ropePairing !== 'half') {
    throw new InputError("gguf: 'gptneox' rotates pairs (i, i + D/2), but this model's rope_pairing is interleaved");
  }
  if (config.normPosition !== 'pre') throw new InputError("gguf: 'gptneox' has no post-norm blocks");
  if (!weights.finalNorm) throw new InputError("gguf: 'gptneox' needs a final LayerNorm, which this model lacks");
  const headBias = largest(weights.lmHead.bias);
  if (headBias > 0 && !options.dropHeadBias) {
    throw new InputError(
      `gguf: 'gptneox' has no bias of the head, but this model's reaches ${headBias.toPrecision(2)}; --drop-head-bias leaves it out`,
    );
  }
  const metadata = {
    'general.architecture': 'gptneox',
    'general.name': config.modelType,
    'gptneox.context_length': { u32: config.blockSize },
    'gptneox.embedding_length': { u32: C },
    'gptneox.block_count': { u32: L },
    'gptneox.feed_forward_length': { u32: 4 * C },
    'gptneox.rope.dimension_count': { u32: C / H },
    'gptneox.rope.freq_base': { f32: config.ropeTheta },
    'gptneox.attention.head_count': { u32: H },
    'gptneox.attention.layer_norm_epsilon': { f32: config.layerNormEps },
    'gptneox.use_parallel_residual': false,
    'gptneox.vocab_size': { u32: config.vocabSize },
  };

  function matrix(name: string, shape: readonly number[], make: () => Floats): GgufTensor {
    const stored = shape[1] % BLOCKS[type].elements === 0 ? type : 'f16';
    return { name, type: stored, shape, make: () => packBlocks(stored, make()) };
  }
  function vector(name: string, x: Float32Tensor | null, length: number): GgufTensor {
    const make = () => packBlocks('f32', x?.data ?? new Float32Array(length));
    return { name, type: 'f32', shape: [length], make };
  }
  function linear(name: string, { weight, bias }: LinearWeights): GgufTensor[] {
    return [matrix(`${name}.weight`, weight.shape, () => weight.data), vector(`${name}.bias`, bias, weight.shape[0])];
  }
  function norm(name: string, { weight, bias }: LayerNormWeights): GgufTensor[] {
    return [vector(`${name}.weight`, weight, C), vector(`${name}.bias`, bias, C)];
  }

  const { embedding, blocks, finalNorm, lmHead } = weights;
  const tensors = [
    matrix('token_embd.weight', [embedding.shape[0], C], () => repeatInterleave(embedding, C / E).data),
    ...blocks.flatMap((block, n) => [
      ...norm(`blk.${n}.attn_norm`, block.attnNorm),
      ...linear(`blk.${n}.attn_qkv`, joined([block.qProj, block.kProj, block.vProj])),
      ...linear(`blk.${n}.attn_output`, block.oProj),
      ...norm(`blk.${n}.ffn_norm`, block.ffnNorm),
      ...linear(`blk.${n}.ffn_up`, block.ffnUp),
      ...linear(`blk.${n}.ffn_down`, block.ffnDown),
    ]),
    ...norm('output_norm', finalNorm),
    matrix('output.weight', lmHead.weight.shape, () => lmHead.weight.data),
  ];
  const warnings = ['llama.cpp computes GELU by its tanh form, from a table in float16'];
  if (headBias > 0) warnings.push(`the bias of the head is left out; it reaches ${headBias.toPrecision(2)}`);
  return { metadata, tensors, warnings };
}

/** Several layers of the same input as one. */
function joined(layers: readonly LinearWeights[]): LinearWeights {
  const K = layers[0].weight.shape[1];
  const N = layers.reduce((sum, { weight }) => sum + weight.shape[0], 0);
  const weight = {
    shape: [N, K],
    get data() {
      const whole = new Float32Array(N * K);
      let at = 0;
      for (const { weight } of layers) {
        whole.set(weight.data, at);
        at += sizeOf(weight.shape);
      }
      return whole;
    },
  };
  if (layers.every(({ bias }) => bias === null)) return { weight, bias: null };
  const bias = tensor([N]);
  let at = 0;
  for (const layer of layers) {
    if (layer.bias) bias.data.set(layer.bias.data, at);
    at += layer.weight.shape[0];
  }
  return { weight, bias };
}

function largest(x: Float32Tensor | null): number {
  return x ? x.data.reduce((max, value) => Math.max(max, Math.abs(value)), 0) : 0;
}
