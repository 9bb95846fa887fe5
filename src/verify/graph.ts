import type { ModelConfig } from '../../reference/lib/config.js';
import { activationNames } from '../../reference/lib/trace.js';

/** An activation, the op that computes it, and the op's inputs. */
export interface GraphNode {
  name: string;
  op: string;
  inputs: readonly string[];
  /** The layer; 0 before the first layer, L after the last one. */
  layer: number;
}

/** The op and the inputs of each activation of a layer; `in` is the input of the layer. Those of the norms depend on the config. */
const WITHIN_LAYER: Record<string, { op: string; inputs: string[] }> = {
  q: { op: 'linear', inputs: ['attn_norm'] },
  k: { op: 'linear', inputs: ['attn_norm'] },
  v: { op: 'linear', inputs: ['attn_norm'] },
  q_rot: { op: 'rope', inputs: ['q'] },
  k_rot: { op: 'rope', inputs: ['k'] },
  attn_weights: { op: 'softmax', inputs: ['q_rot', 'k_rot'] },
  attn: { op: 'attention', inputs: ['q_rot', 'k_rot', 'v'] },
  attn_out: { op: 'linear', inputs: ['attn'] },
  resid_mid: { op: 'add', inputs: ['in', 'attn_out'] },
  ffn_up: { op: 'linear', inputs: ['ffn_norm'] },
  ffn_act: { op: 'gelu', inputs: ['ffn_up'] },
  ffn_out: { op: 'linear', inputs: ['ffn_act'] },
  resid: { op: 'add', inputs: ['resid_mid', 'ffn_out'] },
};

const PRE_NORM: typeof WITHIN_LAYER = {
  attn_norm: { op: 'layerNorm', inputs: ['in'] },
  ffn_norm: { op: 'layerNorm', inputs: ['resid_mid'] },
};

const POST_NORM: typeof WITHIN_LAYER = {
  ...Object.fromEntries(['q', 'k', 'v'].map((name) => [name, { op: 'linear', inputs: ['in'] }])),
  attn_norm: { op: 'layerNorm', inputs: ['resid_mid'] },
  ffn_up: { op: 'linear', inputs: ['attn_norm'] },
  resid: { op: 'add', inputs: ['attn_norm', 'ffn_out'] },
  ffn_norm: { op: 'layerNorm', inputs: ['resid'] },
};

/** For activations that include the attention weights. */
const WITH_ATTN_WEIGHTS: typeof WITHIN_LAYER = { attn: { op: 'attention', inputs: ['attn_weights', 'v'] } };

/** All activations in order of execution, with their ops and inputs. */
export function activationGraph(
  config: Pick<ModelConfig, 'nLayer' | 'normPosition'>,
  hasFinalNorm: boolean,
  attnWeights = false,
): GraphNode[] {
  const { nLayer: L, normPosition } = config;
  const within = {
    ...WITHIN_LAYER,
    ...(normPosition === 'pre' ? PRE_NORM : POST_NORM),
    ...(attnWeights ? WITH_ATTN_WEIGHTS : {}),
  };
  const last = normPosition === 'pre' ? 'resid' : 'ffn_norm'; // the output of a layer
  const leaves = `layers.${L - 1}.${last}`;
  return activationNames(config, hasFinalNorm, attnWeights).map((name) => {
    const match = /^layers\.(\d+)\.(.+)$/.exec(name);
    if (match) {
      const layer = Number(match[1]);
      const before = layer === 0 ? 'expanded' : `layers.${layer - 1}.${last}`;
      const { op, inputs } = within[match[2]];
      return { name, op, layer, inputs: inputs.map((input) => (input === 'in' ? before : `layers.${layer}.${input}`)) };
    }
    if (name === 'embedding') return { name, op: 'embedding', layer: 0, inputs: [] };
    if (name === 'expanded') return { name, op: 'repeatInterleave', layer: 0, inputs: ['embedding'] };
    if (name === 'final_norm') return { name, op: 'layerNorm', layer: L, inputs: [leaves] };
    return { name, op: 'lmHead', layer: L, inputs: [hasFinalNorm ? 'final_norm' : leaves] };
  });
}
