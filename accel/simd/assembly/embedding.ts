import { take } from './threads';

/** Copies the rows `ids` (T 32-bit integers) of a table [V, E] to y [T, E]. See reference/embedding.ts. */
export function embedding(ids: usize, table: usize, y: usize, T: u32, E: u32): void {
  const row = <usize>E << 2;
  for (let t = take(1); t < T; t = take(1)) {
    memory.copy(y + <usize>t * row, table + <usize>load<u32>(ids + (<usize>t << 2)) * row, row);
  }
}
