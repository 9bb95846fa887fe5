import { exp, largest, sum } from './lanes';
import { take } from './threads';

/** The softmax of rows of `width` elements. Attention calls {@link softmaxRow} directly. */
export function softmax(x: usize, y: usize, rows: u32, width: u32): void {
  for (let r = take(1); r < rows; r = take(1)) {
    const at = (<usize>r * width) << 2;
    softmaxRow(x + at, y + at, width);
  }
}

/** y = e^(x − max x) / Σ e^(x − max x) over n elements; y may be x. See reference/softmax.ts. */
export function softmaxRow(x: usize, y: usize, n: u32): void {
  const end = <usize>n << 2;
  const whole = end & ~15;
  let maxima = f32x4.splat(-Infinity);
  for (let i: usize = 0; i < whole; i += 16) maxima = f32x4.max(maxima, v128.load(x + i));
  let top = largest(maxima);
  for (let i = whole; i < end; i += 4) top = max<f32>(top, load<f32>(x + i));

  const tops = f32x4.splat(top);
  let sums = f32x4.splat(0);
  for (let i: usize = 0; i < whole; i += 16) {
    const e = exp(f32x4.sub(v128.load(x + i), tops));
    v128.store(y + i, e);
    sums = f32x4.add(sums, e);
  }
  let total = sum(sums);
  for (let i = whole; i < end; i += 4) {
    const e = f32x4.extract_lane(exp(f32x4.splat(load<f32>(x + i) - top)), 0);
    store<f32>(y + i, e);
    total += e;
  }

  const scale = <f32>1 / total;
  const scales = f32x4.splat(scale);
  for (let i: usize = 0; i < whole; i += 16) v128.store(y + i, f32x4.mul(v128.load(y + i), scales));
  for (let i = whole; i < end; i += 4) store<f32>(y + i, load<f32>(y + i) * scale);
}
