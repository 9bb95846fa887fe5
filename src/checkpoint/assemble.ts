import type { ModelConfig } from '../../reference/lib/config.js';
import { CompactTensor } from '../../reference/lib/compactTensor.js';
import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { BlockWeights, Model, ModelWeights } from '../../reference/lib/weights.js';

/** Builds a model's weights from tensors with canonical names. The caller has checked that all required ones exist. */
export function assemble({ nLayer: L }: ModelConfig, loaded: ReadonlyMap<string, Float32Tensor>): ModelWeights {
  function layer(name: string): { weight: Float32Tensor; bias: Float32Tensor | null } {
    return { weight: loaded.get(`${name}.weight`)!, bias: loaded.get(`${name}.bias`) ?? null };
  }
  return {
    embedding: loaded.get('token_embeddings.weight')!,
    blocks: Array.from({ length: L }, (_, n) => {
      const block = {} as BlockWeights;
      for (const [key, module] of BLOCK_MODULES) block[key] = layer(`transformer_layers.${n}.${module}`);
      return block;
    }),
    finalNorm: loaded.has('final_layernorm.weight') ? layer('final_layernorm') : null,
    lmHead: layer('lm_head'),
  };
}

/** The tensors of a model by canonical name: the inverse of {@link assemble}. */
export function namedTensors({ embedding, blocks, finalNorm, lmHead }: ModelWeights): Record<string, Float32Tensor> {
  const tensors: Record<string, Float32Tensor> = { 'token_embeddings.weight': embedding };
  function put(name: string, { weight, bias }: { weight: Float32Tensor; bias: Float32Tensor | null }): void {
    tensors[`${name}.weight`] = weight;
    if (bias) tensors[`${name}.bias`] = bias;
  }
  blocks.forEach((block, n) => {
    for (const [key, module] of BLOCK_MODULES) put(`transformer_layers.${n}.${module}`, block[key]);
  });
  if (finalNorm) put('final_layernorm', finalNorm);
  put('lm_head', lmHead);
  return tensors;
}

/** The model with all weights in float32. Returns the same model if they already are. */
export function floatModel(model: Model): Model {
  return copyTensors(model, (x) => x instanceof CompactTensor);
}

/** Like {@link floatModel}, but also copies weights out of shared memory, because GPU drivers crash on shared arrays. */
export function unsharedModel(model: Model): Model {
  const isShared = (x: Float32Tensor): boolean => !(x.data.buffer instanceof ArrayBuffer);
  return copyTensors(model, (x) => x instanceof CompactTensor || isShared(x));
}

/** Replaces the tensors for which `shouldCopy` holds by float32 copies. */
function copyTensors(model: Model, shouldCopy: (x: Float32Tensor) => boolean): Model {
  const named = Object.entries(namedTensors(model.weights));
  if (!named.some(([, x]) => shouldCopy(x))) return model;
  const copies = named.map(([name, x]): [string, Float32Tensor] => {
    if (!shouldCopy(x)) return [name, x];
    const { data } = x;
    return [name, tensor(x.shape, x instanceof CompactTensor ? data : data.slice())];
  });
  return { config: model.config, weights: assemble(model.config, new Map(copies)) };
}

const BLOCK_MODULES: readonly (readonly [keyof BlockWeights, string])[] = [
  ['attnNorm', 'input_layernorm'],
  ['qProj', 'self_attn.q_proj'],
  ['kProj', 'self_attn.k_proj'],
  ['vProj', 'self_attn.v_proj'],
  ['oProj', 'self_attn.o_proj'],
  ['ffnNorm', 'post_attention_layernorm'],
  ['ffnUp', 'ffn.0'],
  ['ffnDown', 'ffn.2'],
];
