/** Two equal rows, and how many rows equal an earlier one. */
export interface Duplicates {
  count: number;
  /** The first row that equals an earlier one, after that one; null if all differ. */
  first: readonly [number, number] | null;
}

/** Finds equal rows of a table [V, E]. Compares numbers, so that 0 equals −0. */
export function findDuplicates(table: Float32Array, V: number, E: number): Duplicates {
  const rowsOf = new Map<number, number[]>();
  const bits = new Int32Array(1);
  const float = new Float32Array(bits.buffer);
  let first: readonly [number, number] | null = null;
  let count = 0;
  for (let v = 0; v < V; v++) {
    let hash = 0x811c9dc5;
    for (let e = v * E; e < (v + 1) * E; e++) {
      float[0] = table[e] + 0;
      hash = Math.imul(hash ^ bits[0], 0x01000193);
      hash ^= hash >>> 15;
    }
    const rows = rowsOf.get(hash);
    const twin = rows?.find((row) => areEqual(table, row * E, v * E, E));
    if (twin !== undefined) {
      first ??= [twin, v];
      count++;
    } else if (rows) rows.push(v);
    else rowsOf.set(hash, [v]);
  }
  return { count, first };
}

function areEqual(table: Float32Array, a: number, b: number, E: number): boolean {
  for (let e = 0; e < E; e++) if (table[a + e] !== table[b + e]) return false;
  return true;
}
