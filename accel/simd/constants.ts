// Constants that the host and the kernels in assembly/ share. AssemblyScript and TypeScript both compile this file, so it
// holds plain numbers only.

/** Bytes of scratch memory per thread. */
export const SCRATCH_BYTES = 131072;

/** Positions per page of the KV cache. */
export const PAGE_POSITIONS = 64;

/** Rows of attention scores that a thread computes at once, in scratch memory. */
export const ATTENTION_ROWS = 8;

/** Adjacent weights of a row that share a scale. Rows are zero-padded to whole groups. */
export const INT8_GROUP = 64;
export const INT4_GROUP = 32;

// Dtypes of weights, in the order of DTYPES in reference/lib/compactTensor.ts.
export const F32 = 0;
export const BF16 = 1;
export const F16 = 2;
export const INT8 = 3;
export const INT4 = 4;

// A plan is a list of records of 32-bit words: the op, its arguments, and a counter of the work taken so far.
export const RECORD_WORDS = 12;

/** Flag on an op: the next op does not depend on it, so the threads skip the barrier between them. */
export const NO_BARRIER = 256;

// Ops of a plan.
export const OP_END = 0;
export const OP_EMBEDDING = 1;
export const OP_REPEAT_INTERLEAVE = 2;
export const OP_LAYER_NORM = 3;
export const OP_QUANTIZE_TOKENS = 4;
export const OP_LINEAR = 5;
export const OP_ROPE = 6;
export const OP_APPEND_KV = 7;
export const OP_ATTENTION = 8;
export const OP_SOFTMAX = 9;
export const OP_GELU = 10;
export const OP_ADD = 11;

// 32-bit words that all threads share.
/** Number of plans submitted so far. */
export const SHARED_ORDERED = 0;
/** Nonzero: no more plans will come. */
export const SHARED_STOP = 1;
/** Threads waiting at the barrier. */
export const SHARED_ARRIVED = 2;
/** Barriers passed so far. */
export const SHARED_ROUND = 3;
/** Address of the latest plan. */
export const SHARED_PLAN = 4;
/** Threads that have finished that plan. */
export const SHARED_FINISHED = 5;
export const SHARED_WORDS = 6;
