import type { ModelConfig } from '../../reference/lib/config.js';

/** A part of the model whose parameters are counted together. */
export type Part = 'embedding' | 'attention' | 'feed-forward' | 'norms' | 'head';

/** A tensor that a model of this architecture has, or may have. */
export interface CanonicalTensor {
  name: string;
  shape: readonly number[];
  /** The shape in the letters of {@link ModelConfig}, such as `4C x C`. */
  letters: string;
  part: Part;
  required: boolean;
}

/**
 * Every tensor that a model of this configuration can have, by canonical name. Lists both forms of the attention
 * projections: separate q, k and v, and fused qkv.
 */
export function canonicalTensors(config: ModelConfig): Map<string, CanonicalTensor> {
  const { vocabSize: V, nEmbed: E, dModel: C, nLayer: L } = config;
  const table = new Map<string, CanonicalTensor>();
  function put(name: string, shape: number[], letters: string, part: Part, required: boolean): void {
    table.set(name, { name, shape, letters, part, required });
  }
  function linear(name: string, N: number, K: number, letters: string, part: Part, required = true): void {
    put(`${name}.weight`, [N, K], letters, part, required);
    put(`${name}.bias`, [N], letters.split(' ')[0], part, false);
  }
  function norm(name: string, required: boolean): void {
    put(`${name}.weight`, [C], 'C', 'norms', required);
    put(`${name}.bias`, [C], 'C', 'norms', false);
  }
  put('token_embeddings.weight', [V, E], 'V x E', 'embedding', true);
  for (let n = 0; n < L; n++) {
    const layer = `transformer_layers.${n}`;
    norm(`${layer}.input_layernorm`, true);
    for (const x of ['q', 'k', 'v', 'o']) linear(`${layer}.self_attn.${x}_proj`, C, C, 'C x C', 'attention');
    linear(`${layer}.self_attn.qkv_proj`, 3 * C, C, '3C x C', 'attention', false);
    norm(`${layer}.post_attention_layernorm`, true);
    linear(`${layer}.ffn.0`, 4 * C, C, '4C x C', 'feed-forward');
    linear(`${layer}.ffn.2`, C, 4 * C, 'C x 4C', 'feed-forward');
  }
  norm('final_layernorm', false);
  linear('lm_head', V, C, 'V x C', 'head');
  return table;
}
