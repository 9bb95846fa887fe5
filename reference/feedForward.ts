import type { ModelConfig } from './lib/config.js';
import type { Tensor } from './lib/tensor.js';
import { noTrace, type Trace } from './lib/trace.js';
import type { LinearWeights } from './lib/weights.js';
import { gelu } from './gelu.js';
import { linear } from './linear.js';

/**
 * The feed-forward network: what each token does by itself with what attention has gathered. Four times as wide as the
 * model inside, and home to two thirds of a block's parameters.
 *
 *     y = down(gelu(up(x)))
 *
 * @param x [T, C]
 * @param up weight [4C, C]
 * @param down weight [C, 4C]
 * @returns [T, C]
 * @throws ShapeError if the widths do not fit.
 * @see golden `feedForward`; PyTorch `nn.Sequential(Linear, GELU, Linear)`
 */
export function feedForward(
  x: Tensor,
  up: LinearWeights,
  down: LinearWeights,
  approximate: ModelConfig['geluApproximate'],
  trace: Trace = noTrace,
): Tensor {
  const raised = linear(x, up); // [T, C] -> [T, 4C]
  trace('ffn_up', raised);
  const activated = gelu(raised, approximate); // [T, 4C]
  trace('ffn_act', activated);
  const y = linear(activated, down); // [T, 4C] -> [T, C]
  trace('ffn_out', y);
  return y;
}
