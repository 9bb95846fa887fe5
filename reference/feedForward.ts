import { gelu } from './gelu.js';
import type { ModelConfig } from './lib/config.js';
import type { Tensor } from './lib/tensor.js';
import { noTrace, traced, type Trace } from './lib/trace.js';
import type { LinearWeights } from './lib/weights.js';
import { linear } from './linear.js';

/**
 * The feed-forward network: each token by itself computes new features from what attention gathered. It is four times as
 * wide as the model inside and holds two thirds of a block's parameters.
 *
 *     y = down(gelu(up(x)))
 *
 * Vaswani et al. 2017, arXiv 1706.03762, section 3.3.
 *
 * @param x [T, C]
 * @param up weight [4C, C]
 * @param down weight [C, 4C]
 * @param approximate which form of {@link gelu}
 * @returns [T, C]
 * @throws ShapeError if the widths do not match.
 * @see golden `feedForward`; PyTorch `nn.Sequential(Linear, GELU, Linear)`
 *
 * @example gelu(x) − gelu(−x) is x, because Φ(x) + Φ(−x) is 1.
 * ```ts
 * const up = { weight: matrix([[1], [-1], [0], [0]]), bias: null }; // C = 1
 * const down = { weight: matrix([[1, -1, 0, 0]]), bias: null };
 * feedForward(matrix([[2]]), up, down, 'none').data; // => [2]
 * ```
 */
export function feedForward(
  x: Tensor,
  up: LinearWeights,
  down: LinearWeights,
  approximate: ModelConfig['geluApproximate'],
  trace: Trace = noTrace,
): Tensor {
  const raised = traced(trace, 'ffn_up', linear(x, up)); // [T, C] → [T, 4C]
  const activated = traced(trace, 'ffn_act', gelu(raised, approximate)); // [T, 4C]
  return traced(trace, 'ffn_out', linear(activated, down)); // [T, 4C] → [T, C]
}
