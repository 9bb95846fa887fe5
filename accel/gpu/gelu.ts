import type { ModelConfig } from '../../reference/lib/config.js';
import type { Device, DeviceTensor } from './device.js';
import type { Thread } from './gpujs.js';

/**
 * y = x Φ(x), or its tanh approximation. GPUs have no erf, so Φ is
 *
 *     Φ(−a) = e^(−a²/2) · s · P(s),  s = 1 / (1 + 0.35 a),  a ≥ 0
 *
 * with a polynomial P of degree 8, fitted by `golden/run.sh fit-gelu`. Its relative error is 3.2e-8 for a ≤ 14; beyond,
 * Φ(−a) underflows float32. In float32 arithmetic, y has an absolute error of at most 7e-8 for x ≤ 0.
 *
 * @see reference/gelu.ts
 */
export function gelu(
  device: Device,
  approximate: ModelConfig['geluApproximate'],
): (x: DeviceTensor) => Promise<DeviceTensor> {
  const activate = device.kernel(approximate === 'tanh' ? tanhKernel : exactKernel);
  return (x) => activate(x.shape, x);
}

/**
 * The source of a kernel (products [P, N], bias [layers, N], layer) → [1, N] that activates the sums of a linear layer of one
 * token: one of the kernels below with a sum instead of an element of x, so that each formula stands once.
 */
export function geluOfSumsSource(approximate: ModelConfig['geluApproximate'], parts: number): string {
  const source = String(approximate === 'tanh' ? tanhKernel : exactKernel);
  const body = source.slice(source.indexOf('{') + 1).replace(/\w+\[this\.thread\.y\]\[this\.thread\.x\]/, 'sumOfParts');
  return `function geluOfSums(products, bias, layer) {
    let sumOfParts = bias[layer][this.thread.x];
    for (let part = 0; part < ${parts}; part++) sumOfParts += products[part][this.thread.x];
    ${body}`;
}

function exactKernel(this: Thread, x: number[][]): number {
  const value = x[this.thread.y][this.thread.x];
  const a = Math.abs(value);
  const s = 1 / (1 + 0.35 * a);
  let p = -0.029145988638484163;
  p = p * s + 0.14397197259503788;
  p = p * s - 0.255714799724967;
  p = p * s + 0.15917475324484628;
  p = p * s - 0.02311021899975362;
  p = p * s + 0.10550815456036133;
  p = p * s + 0.11983283301978213;
  p = p * s + 0.13986187390773325;
  p = p * s + 0.13962140408892743;
  const tail = Math.exp(-0.5 * a * a) * s * p; // Φ(−a)
  let phi = tail;
  if (value > 0) phi = 1 - tail;
  return value * phi;
}

/** Uses ½ (1 + tanh z) = 1 / (1 + e^(−2z)), which does not cancel and overflows only to its limits, 0 and 1. */
function tanhKernel(this: Thread, x: number[][]): number {
  const value = x[this.thread.y][this.thread.x];
  const z = 0.7978845608028654 * (value + 0.044715 * value * value * value);
  return value / (1 + Math.exp(-2 * z));
}
