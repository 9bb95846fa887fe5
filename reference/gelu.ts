import type { ModelConfig } from './lib/config.js';
import { tensor, type Tensor } from './lib/tensor.js';
import { erfc } from './erf.js';

/**
 * Gaussian error linear unit: the non-linearity of the feed-forward, a ReLU with a smooth corner. It keeps x in the
 * measure in which x exceeds a normal random number.
 *
 *     none:  y = x Φ(x) = x · ½ erfc(−x / √2)
 *     tanh:  y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
 *
 * The two differ by up to 4.7e-4. By erfc and not by 1 + erf, which for x < −5 cancels to nothing.
 * Hendrycks & Gimpel 2016, arXiv 1606.08415.
 *
 * @param x any shape
 * @param approximate `none` for the exact form, `tanh` for the approximation of GPT-2
 * @returns the shape of x. gelu(±0) = ±0, gelu(∞) = ∞, gelu(−∞) = NaN (−∞ · 0), as in PyTorch.
 * @see golden `gelu`; PyTorch `nn.GELU(approximate)`
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
