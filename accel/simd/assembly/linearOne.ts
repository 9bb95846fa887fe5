// One token: dot products of it with rows of weights. Eight sums run side by side, so that no addition waits for the one
// before; four rows share each load of the token.

import { groups, INT4_GROUP, INT8_GROUP, loadBf16, loadF16, loadScale } from './dtype';
import { madd, sum } from './lanes';

/** Where quantiseRow puts the scales behind the codes. */
// @ts-ignore: decorator
@inline
function codesEnd(K: u32, group: u32): usize {
  return <usize>groups(K, group) * (group << 1);
}

/** y[o] = x · w[o] for `count` rows of K float32 numbers. */
export function dotF32(x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const row = <usize>K << 2;
  const whole = row & ~31;
  let o: u32 = 0;
  for (; o + 4 <= count; o += 4, w += row << 2) {
    const w1 = w + row;
    const w2 = w1 + row;
    const w3 = w2 + row;
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 32) {
      const x0 = v128.load(x + k);
      const x1 = v128.load(x + k, 16);
      a0 = madd(x0, v128.load(w + k), a0);
      a1 = madd(x1, v128.load(w + k, 16), a1);
      b0 = madd(x0, v128.load(w1 + k), b0);
      b1 = madd(x1, v128.load(w1 + k, 16), b1);
      c0 = madd(x0, v128.load(w2 + k), c0);
      c1 = madd(x1, v128.load(w2 + k, 16), c1);
      d0 = madd(x0, v128.load(w3 + k), d0);
      d1 = madd(x1, v128.load(w3 + k, 16), d1);
    }
    const at = y + (<usize>o << 2);
    store<f32>(at, sum(f32x4.add(a0, a1)) + dotRest(x, w, whole, row));
    store<f32>(at, sum(f32x4.add(b0, b1)) + dotRest(x, w1, whole, row), 4);
    store<f32>(at, sum(f32x4.add(c0, c1)) + dotRest(x, w2, whole, row), 8);
    store<f32>(at, sum(f32x4.add(d0, d1)) + dotRest(x, w3, whole, row), 12);
  }
  for (; o < count; o++, w += row) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (let k: usize = 0; k < whole; k += 32) {
      a = madd(v128.load(x + k), v128.load(w + k), a);
      b = madd(v128.load(x + k, 16), v128.load(w + k, 16), b);
    }
    store<f32>(y + (<usize>o << 2), sum(f32x4.add(a, b)) + dotRest(x, w, whole, row));
  }
}

// @ts-ignore: decorator
@inline
function dotRest(x: usize, w: usize, from: usize, end: usize): f32 {
  let total: f32 = 0;
  for (let k = from; k < end; k += 4) total += load<f32>(x + k) * load<f32>(w + k);
  return total;
}

export function dotBf16(x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const whole = K & ~7;
  for (let o: u32 = 0; o < count; o++, w += <usize>K << 1) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (let k: u32 = 0; k < whole; k += 8) {
      const from = w + (<usize>k << 1);
      const at = x + (<usize>k << 2);
      a = madd(v128.load(at), loadBf16(from), a);
      b = madd(v128.load(at, 16), loadBf16(from + 8), b);
    }
    let total = sum(f32x4.add(a, b));
    for (let k = whole; k < K; k++) {
      total += load<f32>(x + (<usize>k << 2)) * reinterpret<f32>(<u32>load<u16>(w + (<usize>k << 1)) << 16);
    }
    store<f32>(y + (<usize>o << 2), total);
  }
}

export function dotF16(x: usize, w: usize, y: usize, K: u32, count: u32): void {
  const whole = K & ~7;
  for (let o: u32 = 0; o < count; o++, w += <usize>K << 1) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (let k: u32 = 0; k < whole; k += 8) {
      const from = w + (<usize>k << 1);
      const at = x + (<usize>k << 2);
      a = madd(v128.load(at), loadF16(from), a);
      b = madd(v128.load(at, 16), loadF16(from + 8), b);
    }
    let total = sum(f32x4.add(a, b));
    for (let k = whole; k < K; k++) {
      const bits = <u32>load<u16>(w + (<usize>k << 1));
      const magnitude = reinterpret<f32>((bits & 0x7fff) << 13) * reinterpret<f32>(0x77800000);
      total += load<f32>(x + (<usize>k << 2)) * (bits & 0x8000 ? -magnitude : magnitude);
    }
    store<f32>(y + (<usize>o << 2), total);
  }
}

/**
 * A token as 16-bit integers: codes [groups · group], then a float32 scale for each group. What is off is at most 2^-16 of
 * the largest number of the group.
 */
export function quantiseRow(x: usize, K: u32, group: u32, to: usize): void {
  let scales = to + codesEnd(K, group);
  for (let start: u32 = 0; start < K; start += group, scales += 4) {
    const end = min(start + group, K);
    let most: f32 = 0;
    for (let k = start; k < end; k++) most = max<f32>(most, abs<f32>(load<f32>(x + (<usize>k << 2))));
    const scale = most / 32767;
    const inverse: f32 = most > 0 ? <f32>32767 / most : 0;
    store<f32>(scales, scale);
    for (let k = start; k < start + group; k++) {
      const code = k < end ? <i32>nearest<f32>(load<f32>(x + (<usize>k << 2)) * inverse) : 0;
      store<i16>(to + (<usize>k << 1), <i16>code);
    }
  }
}

/** Integer products of a group add up in 32 bits: 64 · 127 · 32767 is under 2^31. */
export function dotInt8(codes: usize, w: usize, scales: usize, y: usize, K: u32, count: u32): void {
  const n = groups(K, INT8_GROUP);
  const xScales = codes + codesEnd(K, INT8_GROUP);
  for (let o: u32 = 0; o < count; o++) {
    let total = f32x4.splat(0);
    let x = codes;
    for (let g: u32 = 0; g < n; g++, x += INT8_GROUP << 1, w += INT8_GROUP, scales += 2) {
      let a = i32x4.dot_i16x8_s(v128.load8x8_s(w), v128.load(x));
      let b = i32x4.dot_i16x8_s(v128.load8x8_s(w, 8), v128.load(x, 16));
      a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 16), v128.load(x, 32)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 24), v128.load(x, 48)));
      a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 32), v128.load(x, 64)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 40), v128.load(x, 80)));
      a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(w, 48), v128.load(x, 96)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(w, 56), v128.load(x, 112)));
      const scale = loadScale(scales) * load<f32>(xScales + (<usize>g << 2));
      total = madd(f32x4.convert_i32x4_s(i32x4.add(a, b)), f32x4.splat(scale), total);
    }
    store<f32>(y + (<usize>o << 2), sum(total));
  }
}

export function dotInt4(codes: usize, w: usize, scales: usize, y: usize, K: u32, count: u32): void {
  const n = groups(K, INT4_GROUP);
  const xScales = codes + codesEnd(K, INT4_GROUP);
  const eight = i8x16.splat(8);
  for (let o: u32 = 0; o < count; o++) {
    let total = f32x4.splat(0);
    let x = codes;
    for (let g: u32 = 0; g < n; g++, x += INT4_GROUP << 1, w += INT4_GROUP >> 1, scales += 2) {
      const bytes = v128.load(w);
      const low = i8x16.sub(v128.and(bytes, i8x16.splat(15)), eight);
      const high = i8x16.sub(i8x16.shr_u(bytes, 4), eight);
      const a = i32x4.add(
        i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(low), v128.load(x)),
        i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(low), v128.load(x, 16)),
      );
      const b = i32x4.add(
        i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(high), v128.load(x, 32)),
        i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(high), v128.load(x, 48)),
      );
      const scale = loadScale(scales) * load<f32>(xScales + (<usize>g << 2));
      total = madd(f32x4.convert_i32x4_s(i32x4.add(a, b)), f32x4.splat(scale), total);
    }
    store<f32>(y + (<usize>o << 2), sum(total));
  }
}
