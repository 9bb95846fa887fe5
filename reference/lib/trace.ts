import type { ModelConfig } from './config.js';
import type { Tensor } from './tensor.js';

/** Called with every named activation, in order of execution. The tensor is the receiver's to keep. */
export type Trace = (name: string, value: Tensor) => void;

/** The trace of someone who does not look. */
export const noTrace: Trace = () => undefined;

/** A trace that puts a prefix before every name: `layers.3.` before `attn_out`. */
export function prefixed(trace: Trace, prefix: string): Trace {
  if (trace === noTrace) return noTrace;
  return (name, value) => {
    trace(prefix + name, value);
  };
}

const ATTENTION = ['q', 'k', 'v', 'q_rot', 'k_rot', 'attn', 'attn_out', 'resid_mid'];
const FEED_FORWARD = ['ffn_up', 'ffn_act', 'ffn_out', 'resid'];

/**
 * The names of all activations in order of execution, as golden files, traces and reports use them:
 * `embedding`, `expanded`, `layers.0.attn_norm`, …, `final_norm`, `logits`.
 */
export function activationNames(config: ModelConfig, hasFinalNorm: boolean): string[] {
  const layer =
    config.normPosition === 'pre'
      ? ['attn_norm', ...ATTENTION, 'ffn_norm', ...FEED_FORWARD]
      : [...ATTENTION, 'attn_norm', ...FEED_FORWARD, 'ffn_norm'];
  return [
    'embedding',
    'expanded',
    ...Array.from({ length: config.nLayer }, (_, n) => layer.map((name) => `layers.${n}.${name}`)).flat(),
    ...(hasFinalNorm ? ['final_norm'] : []),
    'logits',
  ];
}
