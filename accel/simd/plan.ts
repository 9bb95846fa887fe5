import * as constants from './constants.js';
import { NO_BARRIER, RECORD_WORDS } from './constants.js';
import type { SimdMemory } from './memory.js';

/** The ops that threads can run. */
// prettier-ignore
export type PlanOp =
  | 'embedding' | 'repeatInterleave' | 'layerNorm' | 'quantizeTokens' | 'linear' | 'rope' | 'appendKv' | 'attention'
  | 'softmax' | 'gelu' | 'add';

/** The number of each op in a plan. */
const OPS: Record<PlanOp, number> = {
  embedding: constants.OP_EMBEDDING,
  repeatInterleave: constants.OP_REPEAT_INTERLEAVE,
  layerNorm: constants.OP_LAYER_NORM,
  quantizeTokens: constants.OP_QUANTIZE_TOKENS,
  linear: constants.OP_LINEAR,
  rope: constants.OP_ROPE,
  appendKv: constants.OP_APPEND_KV,
  attention: constants.OP_ATTENTION,
  softmax: constants.OP_SOFTMAX,
  gelu: constants.OP_GELU,
  add: constants.OP_ADD,
};

/** One op with its arguments: addresses, sizes, and float32 numbers as {@link floatBits}. */
export interface PlannedOp {
  op: PlanOp;
  args: readonly number[];
  /** The next op does not depend on this one, so the threads skip the barrier. `false` if it always depends on it. */
  noBarrier?: boolean;
}

/** The size of a plan in bytes. */
export function planBytes(ops: number): number {
  return 4 * RECORD_WORDS * (ops + 1);
}

/** Writes a plan for the threads to run. A record of zeros ends it, because OP_END is 0. */
export function writePlan(memory: SimdMemory, address: number, ops: readonly PlannedOp[]): void {
  const words = memory.words(address, RECORD_WORDS * (ops.length + 1));
  words.fill(constants.OP_END);
  ops.forEach(({ op, args, noBarrier }, i) => {
    words[RECORD_WORDS * i] = OPS[op] + (noBarrier ? NO_BARRIER : 0);
    words.set(args, RECORD_WORDS * i + 1);
  });
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** Returns the bits of a float32 argument. */
export function floatBits(value: number): number {
  float[0] = value;
  return word[0];
}
