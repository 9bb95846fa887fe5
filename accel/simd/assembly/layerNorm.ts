import { madd, sum } from './lanes';
import { take } from './threads';

/**
 * y = (x − μ) / √(σ² + ε) · weight + bias over rows of C elements; a `bias` of 0 means none. Mean and variance take one pass
 * each and sum in eight lanes. See reference/layerNorm.ts.
 */
export function layerNorm(x: usize, weight: usize, bias: usize, y: usize, T: u32, C: u32, eps: f32): void {
  const row = <usize>C << 2;
  for (let t = take(1); t < T; t = take(1)) {
    const from = x + <usize>t * row;
    const to = y + <usize>t * row;
    const mean = rowSum(from, row) / <f32>C;
    const scale = <f32>1 / sqrt<f32>(squares(from, row, mean) / <f32>C + eps);
    const means = f32x4.splat(mean);
    const scales = f32x4.splat(scale);
    let i: usize = 0;
    for (; i + 16 <= row; i += 16) {
      const normalized = f32x4.mul(f32x4.sub(v128.load(from + i), means), scales);
      const shift = bias ? v128.load(bias + i) : f32x4.splat(0);
      v128.store(to + i, f32x4.add(f32x4.mul(normalized, v128.load(weight + i)), shift));
    }
    for (; i < row; i += 4) {
      const shift = bias ? load<f32>(bias + i) : 0;
      store<f32>(to + i, (load<f32>(from + i) - mean) * scale * load<f32>(weight + i) + shift);
    }
  }
}

function rowSum(from: usize, row: usize): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= row; i += 32) {
    a = f32x4.add(a, v128.load(from + i));
    b = f32x4.add(b, v128.load(from + i, 16));
  }
  let total = sum(f32x4.add(a, b));
  for (; i < row; i += 4) total += load<f32>(from + i);
  return total;
}

function squares(from: usize, row: usize, mean: f32): f32 {
  const means = f32x4.splat(mean);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= row; i += 32) {
    const u = f32x4.sub(v128.load(from + i), means);
    const v = f32x4.sub(v128.load(from + i, 16), means);
    a = madd(u, u, a);
    b = madd(v, v, b);
  }
  let total = sum(f32x4.add(a, b));
  for (; i < row; i += 4) {
    const u = load<f32>(from + i) - mean;
    total += u * u;
  }
  return total;
}
