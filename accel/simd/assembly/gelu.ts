import { exp, madd } from './lanes';
import { take } from './threads';

const CHUNK: u32 = 1024;

/** y = x Φ(x) or its tanh approximation, for `size` elements. See reference/gelu.ts. */
export function gelu(x: usize, y: usize, size: u32, tanh: u32): void {
  for (let start = take(CHUNK); start < size; start = take(CHUNK)) {
    const end = min(start + CHUNK, size);
    let i = start;
    for (; i + 4 <= end; i += 4) {
      const at = <usize>i << 2;
      const v = v128.load(x + at);
      v128.store(y + at, tanh ? byTanh(v) : exact(v));
    }
    for (; i < end; i++) {
      const at = <usize>i << 2;
      const v = f32x4.splat(load<f32>(x + at));
      store<f32>(y + at, f32x4.extract_lane(tanh ? byTanh(v) : exact(v), 0));
    }
  }
}

/** Φ(−a) = e^(−a²/2) s P(s), s = 1 / (1 + 0.35 a): the polynomial of accel/gpu/gelu.ts, fitted by golden/fit_gelu.py. */
// @ts-ignore: decorator
@inline
function exact(x: v128): v128 {
  const one = f32x4.splat(1);
  const a = f32x4.abs(x);
  const s = f32x4.div(one, madd(f32x4.splat(0.35), a, one));
  let p = f32x4.splat(-0.029145988638484163);
  p = madd(p, s, f32x4.splat(0.14397197259503788));
  p = madd(p, s, f32x4.splat(-0.255714799724967));
  p = madd(p, s, f32x4.splat(0.15917475324484628));
  p = madd(p, s, f32x4.splat(-0.02311021899975362));
  p = madd(p, s, f32x4.splat(0.10550815456036133));
  p = madd(p, s, f32x4.splat(0.11983283301978213));
  p = madd(p, s, f32x4.splat(0.13986187390773325));
  p = madd(p, s, f32x4.splat(0.13962140408892743));
  const tail = f32x4.mul(f32x4.mul(exp(f32x4.mul(f32x4.mul(a, a), f32x4.splat(-0.5))), s), p);
  const phi = v128.bitselect(f32x4.sub(one, tail), tail, f32x4.gt(x, f32x4.splat(0)));
  return f32x4.mul(x, phi);
}

/** ½ (1 + tanh z) = 1 / (1 + e^(−2z)), z = √(2/π) (x + 0.044715 x³) */
// @ts-ignore: decorator
@inline
function byTanh(x: v128): v128 {
  const one = f32x4.splat(1);
  const cubic = f32x4.mul(f32x4.mul(f32x4.mul(f32x4.splat(0.044715), x), x), x);
  const z = f32x4.mul(f32x4.splat(0.7978845608028654), f32x4.add(x, cubic));
  const power = f32x4.mul(f32x4.splat(-2), z);
  const overflows = f32x4.gt(power, f32x4.splat(88)); // exp clamps at 88, and 3e38 · e^−88 would give 2
  const e = v128.bitselect(f32x4.splat(Infinity), exp(power), overflows);
  return f32x4.div(x, f32x4.add(one, e));
}
