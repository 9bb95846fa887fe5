import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { mersenne } from 'pure-rand/generator/mersenne';

/** Normal logits with a standard deviation, by Box and Muller. */
export function randomLogits(count: number, spread: number, seed: number): Float32Array {
  const random = mersenne(seed);
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
    return spread * radius * Math.cos(2 * Math.PI * uniformFloat64(random));
  });
}
