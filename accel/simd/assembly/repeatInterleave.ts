import { take } from './threads';

/** Repeats each element `repeats` times in place: x [T, E] → y [T, E · repeats]. See reference/repeatInterleave.ts. */
export function repeatInterleave(x: usize, y: usize, T: u32, E: u32, repeats: u32): void {
  for (let t = take(1); t < T; t = take(1)) {
    let to = y + ((<usize>t * E * repeats) << 2);
    for (let e: u32 = 0; e < E; e++) {
      const value = load<f32>(x + ((<usize>t * E + e) << 2));
      for (let r: u32 = 0; r < repeats; r++, to += 4) store<f32>(to, value);
    }
  }
}
