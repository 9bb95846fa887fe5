import { describeTable, type TableReport } from '../codes/describeTable.js';
import type { TensorStore } from './tensorStore.js';

/** Numbers to read of a table; 65,536 x 256 are read whole. */
const MAX_NUMBERS = 2 ** 24;

/** Consecutive rows to read at a time. */
const RUN = 64;

/** Relative rounding errors of the dtypes: half a unit in the last place, or of float32 for sums of squares in F64. */
const PRECISION: Readonly<Record<string, number>> = { F32: 1e-6, F64: 1e-6, F16: 2 ** -11, BF16: 2 ** -8 };

/**
 * Describes the embedding table of a checkpoint. Reads all of a table up to 2²⁴ numbers, and otherwise evenly spaced runs
 * of rows and the rows 0, 1, 2, 4, 8, …, which show whether codes are affine.
 *
 * @param name the table's name in the file
 * @throws CheckpointError if the table cannot be read.
 */
export async function sampleTable(
  store: TensorStore,
  name: string,
  maxNumbers: number = MAX_NUMBERS,
): Promise<TableReport> {
  const { shape, dtype } = store.tensors.get(name)!;
  const [V, E] = shape;
  const ids = rowsToRead(V, Math.max(1, Math.floor(maxNumbers / E)));
  const rows = new Float32Array(ids.length * E);
  for (let n = 0; n < ids.length;) {
    let end = n + 1;
    while (end < ids.length && ids[end] === ids[end - 1] + 1) end++;
    await store.readFloats(name, rows.subarray(n * E, end * E), ids[n] * E);
    n = end;
  }
  return describeTable(rows, ids, V, PRECISION[dtype]);
}

/** Some token ids, ascending: all of them if they are at most `max`. */
function rowsToRead(V: number, max: number): number[] {
  if (V <= max) return Array.from({ length: V }, (_, v) => v);
  const ids = new Set([0]);
  for (let power = 1; power < V; power *= 2) ids.add(power);
  const runs = Math.max(1, Math.floor(max / RUN));
  const length = Math.min(RUN, max);
  for (let run = 0; run < runs; run++) {
    const start = Math.min(V - length, Math.floor((run * V) / runs));
    for (let v = start; v < start + length; v++) ids.add(v);
  }
  return [...ids].sort((a, b) => a - b);
}
