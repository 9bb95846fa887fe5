import type { ModelConfig } from './config.js';
import { ShapeError } from './errors.js';
import { show, type Tensor } from './tensor.js';

/**
 * Called with every named activation, in order of execution. The tensor is the receiver's to keep. If it returns a tensor
 * of the same shape, the pass goes on with that one: this is how to zero a head or to patch a state. Only the reference
 * takes such replacements, and not for `attn_weights`, which are used inside the op that computes them.
 */
export type Trace = (name: string, value: Tensor) => Tensor | void; // eslint-disable-line @typescript-eslint/no-invalid-void-type

/** A trace that does nothing. */
export const noTrace: Trace = () => undefined;

/**
 * Reports an activation and returns it, or its replacement, so that an op and its trace fit on one line.
 *
 * @throws ShapeError if the replacement has another shape.
 */
export function traced(trace: Trace, name: string, value: Tensor): Tensor {
  const replacement = trace(name, value) ?? value;
  if (!Array.isArray(replacement.shape) || show(replacement.shape) !== show(value.shape)) {
    throw new ShapeError(`trace: the replacement of ${name} must be a tensor of ${show(value.shape)}`);
  }
  return replacement;
}

/** A trace that prefixes every name: `attn_out` becomes `layers.3.attn_out`. */
export function prefixed(trace: Trace, prefix: string): Trace {
  if (trace === noTrace) return noTrace;
  return (name, value) => trace(prefix + name, value);
}

const ATTENTION = ['q', 'k', 'v', 'q_rot', 'k_rot', 'attn_weights', 'attn', 'attn_out', 'resid_mid'];
const FEED_FORWARD = ['ffn_up', 'ffn_act', 'ffn_out', 'resid'];

/**
 * The names of all activations in order of execution, as golden files, traces and reports use them:
 * `embedding`, `expanded`, `layers.0.attn_norm`, …, `final_norm`, `logits`.
 *
 * @param attnWeights include the attention weights (`layers.0.attn_weights`, between `k_rot` and `attn`), which a pass
 *   traces only when asked
 */
export function activationNames(
  config: Pick<ModelConfig, 'nLayer' | 'normPosition'>,
  hasFinalNorm: boolean,
  attnWeights = false,
): string[] {
  const attention = ATTENTION.filter((name) => attnWeights || name !== 'attn_weights');
  const layer =
    config.normPosition === 'pre'
      ? ['attn_norm', ...attention, 'ffn_norm', ...FEED_FORWARD]
      : [...attention, 'attn_norm', ...FEED_FORWARD, 'ffn_norm'];
  return [
    'embedding',
    'expanded',
    ...Array.from({ length: config.nLayer }, (_, n) => layer.map((name) => `layers.${n}.${name}`)).flat(),
    ...(hasFinalNorm ? ['final_norm'] : []),
    'logits',
  ];
}
