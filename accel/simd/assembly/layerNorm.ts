import { madd, sum } from './lanes';
import { take } from './threads';

/**
 * y = (x − μ) / √(σ² + ε) · weight + bias over rows of C elements; a `bias` of 0 means none. Sums run in eight lanes. See
 * reference/layerNorm.ts.
 *
 * A float32 mean is off by a rounding error that grows with |μ|. Where σ is smaller than that error, it would be all that
 * is left of x − mean. So the mean of x − mean, which is that error, is subtracted as well.
 */
export function layerNorm(x: usize, weight: usize, bias: usize, y: usize, T: u32, C: u32, eps: f32): void {
  const row = <usize>C << 2;
  for (let t = take(1); t < T; t = take(1)) {
    const from = x + <usize>t * row;
    const to = y + <usize>t * row;
    const mean = centeredSum(from, row, 0) / <f32>C;
    const correction = centeredSum(from, row, mean) / <f32>C;
    const scale = <f32>1 / sqrt<f32>(squares(from, row, mean, correction) / <f32>C + eps);
    const means = f32x4.splat(mean);
    const corrections = f32x4.splat(correction);
    const scales = f32x4.splat(scale);
    let i: usize = 0;
    for (; i + 16 <= row; i += 16) {
      const centered = f32x4.sub(f32x4.sub(v128.load(from + i), means), corrections);
      const normalized = f32x4.mul(centered, scales);
      const shift = bias ? v128.load(bias + i) : f32x4.splat(0);
      v128.store(to + i, f32x4.add(f32x4.mul(normalized, v128.load(weight + i)), shift));
    }
    for (; i < row; i += 4) {
      const shift = bias ? load<f32>(bias + i) : 0;
      const centered = load<f32>(from + i) - mean - correction;
      store<f32>(to + i, centered * scale * load<f32>(weight + i) + shift);
    }
  }
}

/** Σ (x − mean) over a row. */
function centeredSum(from: usize, row: usize, mean: f32): f32 {
  const means = f32x4.splat(mean);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= row; i += 32) {
    a = f32x4.add(a, f32x4.sub(v128.load(from + i), means));
    b = f32x4.add(b, f32x4.sub(v128.load(from + i, 16), means));
  }
  let total = sum(f32x4.add(a, b));
  for (; i < row; i += 4) total += load<f32>(from + i) - mean;
  return total;
}

/** Σ (x − mean − correction)² over a row. */
function squares(from: usize, row: usize, mean: f32, correction: f32): f32 {
  const means = f32x4.splat(mean);
  const corrections = f32x4.splat(correction);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 32 <= row; i += 32) {
    const u = f32x4.sub(f32x4.sub(v128.load(from + i), means), corrections);
    const v = f32x4.sub(f32x4.sub(v128.load(from + i, 16), means), corrections);
    a = madd(u, u, a);
    b = madd(v, v, b);
  }
  let total = sum(f32x4.add(a, b));
  for (; i < row; i += 4) {
    const u = load<f32>(from + i) - mean - correction;
    total += u * u;
  }
  return total;
}
