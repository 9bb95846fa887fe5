import { erfc } from './erf.js';
import type { ModelConfig } from './lib/config.js';
import { tensor, type Tensor } from './lib/tensor.js';

/**
 * Gaussian error linear unit, the nonlinearity of the feed-forward: a ReLU with a smooth corner. It scales x by Φ(x), the
 * probability that a standard normal variable is below x.
 *
 *     none:  y = x Φ(x) = x · ½ erfc(−x / √2)
 *     tanh:  y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
 *
 * The two differ by up to 4.7e-4. The exact form uses erfc because ½ (1 + erf(x / √2)) cancels for negative x: even in
 * float64 it is off by 4e-11 of the result at x = −5 and by 2 % at x = −8.
 * Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2.
 *
 * @param x any shape
 * @param approximate `none` for the exact form, `tanh` for the approximation that GPT-2 uses
 * @returns the shape of x. gelu(±0) = ±0, gelu(∞) = ∞, gelu(−∞) = NaN (−∞ · 0), as in PyTorch.
 * @see golden `gelu`; PyTorch `nn.GELU(approximate)`
 *
 * @example Φ(1) = 0.8413: 84 % of a normal distribution lie below one standard deviation.
 * ```ts
 * gelu(vector([-1, 0, 1]), 'none').data; // => [-0.1587, 0, 0.8413]
 * gelu(vector([-1, 0, 1]), 'tanh').data; // => [-0.1588, 0, 0.8412]
 * ```
 */
export function gelu(x: Tensor, approximate: ModelConfig['geluApproximate']): Tensor {
  const f = approximate === 'tanh' ? geluTanh : geluExact;
  return tensor(x.shape, x.data.map(f));
}

function geluExact(x: number): number {
  return x * 0.5 * erfc(-x * Math.SQRT1_2);
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
