// Quantizes tokens for integer weights: a group of elements becomes 16-bit integers with one float32 scale.

import { largest } from './lanes';

/** A group whose elements are all below this becomes 0: the inverse of its scale would be infinite. */
const MIN_MAGNITUDE: f32 = 1e-30;

/** Stores the scale that maps the largest of `count` elements to 32767. @returns its inverse, or 0 for a group near zero */
export function scaleOf(from: usize, count: u32, to: usize): f32 {
  const whole = count & ~3;
  let maxima = f32x4.splat(0);
  for (let i: u32 = 0; i < whole; i += 4) maxima = f32x4.max(maxima, f32x4.abs(v128.load(from + (<usize>i << 2))));
  let top = largest(maxima);
  for (let i = whole; i < count; i++) top = max<f32>(top, abs<f32>(load<f32>(from + (<usize>i << 2))));
  store<f32>(to, top / 32767);
  return top < MIN_MAGNITUDE ? 0 : <f32>32767 / top;
}

/** Rounds eight scaled elements to the nearest integers. */
// @ts-ignore: decorator
@inline
export function eightCodes(from: usize, inverses: v128): v128 {
  return i16x8.narrow_i32x4_s(nearestIntegers(v128.load(from), inverses), nearestIntegers(v128.load(from, 16), inverses));
}

// @ts-ignore: decorator
@inline
export function oneCode(from: usize, inverses: v128): i16 {
  return <i16>i32x4.extract_lane(nearestIntegers(v128.load32_zero(from), inverses), 0);
}

// @ts-ignore: decorator
@inline
function nearestIntegers(x: v128, inverses: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverses)));
}
