import type { ModelConfig } from '../../reference/lib/config.js';
import { CompactTensor } from '../../reference/lib/compactTensor.js';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { BlockWeights, Model, ModelWeights } from '../../reference/lib/weights.js';

/** Puts tensors with canonical names where they belong. Every required one is there, which the caller has checked. */
export function assemble({ nLayer: L }: ModelConfig, loaded: ReadonlyMap<string, Tensor>): ModelWeights {
  function layer(name: string): { weight: Tensor; bias: Tensor | null } {
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

/** The tensors of a model by canonical name: what {@link assemble} takes apart. */
export function namedTensors({ embedding, blocks, finalNorm, lmHead }: ModelWeights): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = { 'token_embeddings.weight': embedding };
  function put(name: string, { weight, bias }: { weight: Tensor; bias: Tensor | null }): void {
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

/** The model with all its weights as float32; itself, if they are. */
export function floatModel(model: Model): Model {
  return remade(model, (x) => x instanceof CompactTensor);
}

/** As {@link floatModel}, with nothing in memory that threads share: drivers of GPUs crash on such arrays. */
export function unsharedModel(model: Model): Model {
  const shared = (x: Tensor): boolean => !(x.data.buffer instanceof ArrayBuffer);
  return remade(model, (x) => x instanceof CompactTensor || shared(x));
}

/** The model with copies of some of its tensors. */
function remade(model: Model, isToCopy: (x: Tensor) => boolean): Model {
  const named = Object.entries(namedTensors(model.weights));
  if (!named.some(([, x]) => isToCopy(x))) return model;
  const copies = named.map(([name, x]): [string, Tensor] => {
    if (!isToCopy(x)) return [name, x];
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
