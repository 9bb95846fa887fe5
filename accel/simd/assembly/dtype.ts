// The storage formats of weights.

import { F32, INT4, INT4_GROUP, INT8, INT8_GROUP } from '../constants';

/** The size of a row of K weights in bytes. */
export function rowBytes(dtype: u32, K: u32): usize {
  if (dtype == F32) return <usize>K << 2;
  if (dtype == INT8) return <usize>groups(K, INT8_GROUP) * INT8_GROUP;
  if (dtype == INT4) return (<usize>groups(K, INT4_GROUP) * INT4_GROUP) >> 1;
  return <usize>K << 1;
}

/** The size of a row's scales in bytes: one bfloat16 per group. */
export function rowScales(dtype: u32, K: u32): usize {
  if (dtype == INT8) return <usize>groups(K, INT8_GROUP) << 1;
  if (dtype == INT4) return <usize>groups(K, INT4_GROUP) << 1;
  return 0;
}

// @ts-ignore: decorator
@inline
export function groups(K: u32, group: u32): u32 {
  return (K + group - 1) / group;
}

// @ts-ignore: decorator
@inline
export function loadScale(at: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(at) << 16);
}

/** Loads four bfloat16 numbers, which are the upper halves of float32 numbers. */
// @ts-ignore: decorator
@inline
export function loadBf16(at: usize): v128 {
  return i32x4.shl(v128.load16x4_u(at), 16);
}

/** Loads four float16 numbers. All must be finite. */
// @ts-ignore: decorator
@inline
export function loadF16(at: usize): v128 {
  return fromUpperF16(i32x4.shl(v128.load16x4_u(at), 16));
}

/** Loads `count` bfloat16 or float16 numbers, 1 to 3, and zeros after them. */
export function loadPartHalves(bf16: bool, at: usize, count: u32): v128 {
  let halves = v128.load16_lane(at, i32x4.splat(0), 1);
  if (count > 1) halves = v128.load16_lane(at + 2, halves, 3);
  if (count > 2) halves = v128.load16_lane(at + 4, halves, 5);
  return bf16 ? halves : fromUpperF16(halves);
}

/**
 * Converts float16 numbers in the upper halves of four lanes to float32. All must be finite. Exponent and fraction shift
 * right by three bits, the sign stays, and a factor of 2^112 corrects the exponent bias.
 */
// @ts-ignore: decorator
@inline
export function fromUpperF16(v: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shr_s(v, 3), i32x4.splat(0x8fffe000)), i32x4.splat(0x77800000));
}
