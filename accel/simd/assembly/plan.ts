// A plan is a list of records in memory, each an op with its arguments. All threads walk through the plan together and
// share the work of each op. They meet at a barrier after each op, unless the next op does not depend on it.

import { add } from './add';
import { attention, storeHeads } from './attention';
import { embedding } from './embedding';
import { gelu } from './gelu';
import { layerNorm } from './layerNorm';
import { linear } from './linear';
import { quantiseTokens } from './linearManyInteger';
import { repeatInterleave } from './repeatInterleave';
import { rope } from './rope';
import { softmax } from './softmax';
import { barrier, startOp } from './threads';

/** The 32-bit words of a record: the op, its arguments, and last the counter of work taken. */
const WORDS: usize = 12;

/** Flag on an op that needs no barrier after it. */
const GO_ON: u32 = 0x100;

/** The op numbers. Must match the list in accel/simd/plan.ts. */
const enum Op {
  End,
  Embedding,
  RepeatInterleave,
  LayerNorm,
  QuantiseTokens,
  Linear,
  Rope,
  StoreHeads,
  Attention,
  Softmax,
  Gelu,
  Add,
}

/** Argument n of a record. */
// @ts-ignore: decorator
@inline
function arg(record: usize, n: usize): u32 {
  return load<u32>(record + ((n + 1) << 2));
}

/** Runs this thread's share of a plan. The last op of a plan always has a barrier. */
export function run(plan: usize): void {
  for (let record = plan; ; record += WORDS << 2) {
    const word = load<u32>(record);
    const op = word & ~GO_ON;
    if (op == Op.End) return;
    startOp(record + ((WORDS - 1) << 2));
    const a = arg(record, 0);
    const b = arg(record, 1);
    const c = arg(record, 2);
    const d = arg(record, 3);
    const e = arg(record, 4);
    const f = arg(record, 5);
    const g = arg(record, 6);
    const h = arg(record, 7);
    const i = arg(record, 8);
    const j = arg(record, 9);
    switch (op) {
      case Op.Embedding:
        embedding(a, b, c, d, e);
        break;
      case Op.RepeatInterleave:
        repeatInterleave(a, b, c, d, e);
        break;
      case Op.LayerNorm:
        layerNorm(a, b, c, d, e, f, reinterpret<f32>(g));
        break;
      case Op.QuantiseTokens:
        quantiseTokens(a, b, c, d, e);
        break;
      case Op.Linear:
        linear(a, b, c, d, e, f, g, h, i, j);
        break;
      case Op.Rope:
        rope(a, b, c, d, e, f, g, h);
        break;
      case Op.StoreHeads:
        storeHeads(a, b, c, d, e, f);
        break;
      case Op.Attention:
        attention(a, b, c, d, e, f, g, h, i);
        break;
      case Op.Softmax:
        softmax(a, b, c, d);
        break;
      case Op.Gelu:
        gelu(a, b, c, d);
        break;
      case Op.Add:
        add(a, b, c, d);
        break;
      default:
        unreachable();
    }
    if (!(word & GO_ON)) barrier();
  }
}
