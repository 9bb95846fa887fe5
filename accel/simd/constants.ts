// Constants of the host and of the kernels in assembly/: AssemblyScript and TypeScript compile this same file, so only
// numbers that both understand may stand here.

/** Bytes that each thread has to itself. */
export const SCRATCH_BYTES = 131072;

/** Positions in a page of the KV cache. */
export const PAGE_POSITIONS = 64;

/** Rows of scores that a thread computes side by side in attention, and needs scratch for. */
export const ATTENTION_ROWS = 8;

/** Weights that share a scale, side by side in a row. Rows are padded with zeros to whole groups. */
export const INT8_GROUP = 64;
export const INT4_GROUP = 32;

// Dtypes of weights, in the order of DTYPES in reference/lib/compactTensor.ts.
export const F32 = 0;
export const BF16 = 1;
export const F16 = 2;
export const INT8 = 3;
export const INT4 = 4;

// A plan is a list of records of 32-bit words: the op, its arguments, and last the counter of the pieces taken.
export const RECORD_WORDS = 12;

/** Flag on an op: the next op does not depend on it, so no thread waits at a barrier between them. */
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

// Words of 32 bits that all threads share.
/** Number of plans ordered so far. */
export const SHARED_ORDERED = 0;
/** Not 0: no more plans will come. */
export const SHARED_STOP = 1;
/** Threads that wait at a barrier. */
export const SHARED_ARRIVED = 2;
/** Barriers passed so far. */
export const SHARED_ROUND = 3;
/** Address of the plan ordered last. */
export const SHARED_PLAN = 4;
/** Threads that have finished that plan. */
export const SHARED_FINISHED = 5;
export const SHARED_WORDS = 6;
