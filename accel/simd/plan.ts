import type { SimdMemory } from './memory.js';

/** Words of a record; assembly/plan.ts has the same, and the same ops in the same order. */
const WORDS = 12;
// prettier-ignore
const OPS = [
  'end', 'embedding', 'repeatInterleave', 'layerNorm', 'quantiseTokens', 'linear', 'rope', 'storeHeads', 'attention',
  'softmax', 'gelu', 'add',
] as const;

/** What a thread can be told to do. */
export type PlanOp = Exclude<(typeof OPS)[number], 'end'>;

/** Added to an op that the next need not wait for. */
const GO_ON = 0x100;

/** One op with its arguments: addresses, sizes, and real numbers by {@link floatBits}. */
export interface PlannedOp {
  op: PlanOp;
  args: readonly number[];
  /** The next op does not depend on this one; `false` where it always does. */
  goOn?: boolean;
}

/** Bytes of a plan of so many ops. */
export function planBytes(ops: number): number {
  return 4 * WORDS * (ops + 1);
}

/** Writes ops one after the other for the threads to run, ended by `end`. */
export function writePlan(memory: SimdMemory, address: number, ops: readonly PlannedOp[]): void {
  const words = memory.words(address, WORDS * (ops.length + 1));
  words.fill(0);
  ops.forEach(({ op, args, goOn }, i) => {
    words[WORDS * i] = OPS.indexOf(op) + (goOn ? GO_ON : 0);
    words.set(args, WORDS * i + 1);
  });
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** A float32 argument: its bits. */
export function floatBits(value: number): number {
  float[0] = value;
  return word[0];
}
