import { take } from './threads';

/**
 * Rotates pairs of elements, (a, b) → (a cos − b sin, b cos + a sin), in each of H heads of width D: x [T, H · D] → y. The
 * tables cos, sin [T, D/2] start at the first of these positions. A pair is (2i, 2i + 1) if `interleaved`, otherwise
 * (i, i + D/2). See reference/rope.ts.
 */
export function rope(
  x: usize,
  cos: usize,
  sin: usize,
  y: usize,
  T: u32,
  H: u32,
  D: u32,
  interleaved: u32,
): void {
  const half = D >> 1;
  const next: usize = interleaved ? 4 : <usize>half << 2;
  const step: usize = interleaved ? 8 : 4;
  for (let t = take(1); t < T; t = take(1)) {
    const tableRow = (<usize>t * half) << 2;
    for (let h: u32 = 0; h < H; h++) {
      const head = (<usize>(t * H + h) * D) << 2;
      let i: u32 = 0;
      if (!interleaved) {
        for (; i + 4 <= half; i += 4) {
          const at = head + (<usize>i << 2);
          const cosSin = tableRow + (<usize>i << 2);
          const a = v128.load(x + at);
          const b = v128.load(x + at + next);
          const c = v128.load(cos + cosSin);
          const s = v128.load(sin + cosSin);
          v128.store(y + at, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
          v128.store(y + at + next, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
        }
      }
      for (; i < half; i++) {
        const at = head + <usize>i * step;
        const cosSin = tableRow + (<usize>i << 2);
        const a = load<f32>(x + at);
        const b = load<f32>(x + at + next);
        const c = load<f32>(cos + cosSin);
        const s = load<f32>(sin + cosSin);
        store<f32>(y + at, a * c - b * s);
        store<f32>(y + at + next, b * c + a * s);
      }
    }
  }
}
