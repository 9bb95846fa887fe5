import { take } from './threads';

const CHUNK: u32 = 4096;

/** Adds `size` elements: y = a + b. See reference/add.ts. */
export function add(a: usize, b: usize, y: usize, size: u32): void {
  for (let start = take(CHUNK); start < size; start = take(CHUNK)) {
    const end = min(start + CHUNK, size);
    let i = start;
    for (; i + 4 <= end; i += 4) {
      const at = <usize>i << 2;
      v128.store(y + at, f32x4.add(v128.load(a + at), v128.load(b + at)));
    }
    for (; i < end; i++) {
      const at = <usize>i << 2;
      store<f32>(y + at, load<f32>(a + at) + load<f32>(b + at));
    }
  }
}
