// A plan is a list of records in memory, each an op with its arguments. All threads walk through the plan together and
// share the work of each op. They meet at a barrier after each op, unless the next op does not depend on it.

import {
  NO_BARRIER,
  OP_ADD,
  OP_APPEND_KV,
  OP_ATTENTION,
  OP_EMBEDDING,
  OP_END,
  OP_GELU,
  OP_LAYER_NORM,
  OP_LINEAR,
  OP_QUANTIZE_TOKENS,
  OP_REPEAT_INTERLEAVE,
  OP_ROPE,
  OP_SOFTMAX,
  RECORD_WORDS,
} from '../constants';
import { add } from './add';
import { attention, appendKv } from './attention';
import { embedding } from './embedding';
import { gelu } from './gelu';
import { layerNorm } from './layerNorm';
import { linear } from './linear';
import { quantizeTokens } from './linearManyInteger';
import { repeatInterleave } from './repeatInterleave';
import { rope } from './rope';
import { softmax } from './softmax';
import { barrier, startOp } from './threads';

/** Argument n of a record. */
// @ts-ignore: decorator
@inline
function arg(record: usize, n: usize): u32 {
  return load<u32>(record + ((n + 1) << 2));
}

/** Runs this thread's share of a plan. The last op of a plan always has a barrier. */
export function run(plan: usize): void {
  for (let record = plan; ; record += RECORD_WORDS << 2) {
    const word = load<u32>(record);
    const op = word & ~NO_BARRIER;
    if (op == OP_END) return;
    startOp(record + ((RECORD_WORDS - 1) << 2));
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
      case OP_EMBEDDING:
        embedding(a, b, c, d, e);
        break;
      case OP_REPEAT_INTERLEAVE:
        repeatInterleave(a, b, c, d, e);
        break;
      case OP_LAYER_NORM:
        layerNorm(a, b, c, d, e, f, reinterpret<f32>(g));
        break;
      case OP_QUANTIZE_TOKENS:
        quantizeTokens(a, b, c, d, e);
        break;
      case OP_LINEAR:
        linear(a, b, c, d, e, f, g, h, i, j);
        break;
      case OP_ROPE:
        rope(a, b, c, d, e, f, g, h);
        break;
      case OP_APPEND_KV:
        appendKv(a, b, c, d, e, f);
        break;
      case OP_ATTENTION:
        attention(a, b, c, d, e, f, g, h, i, j);
        break;
      case OP_SOFTMAX:
        softmax(a, b, c, d);
        break;
      case OP_GELU:
        gelu(a, b, c, d);
        break;
      case OP_ADD:
        add(a, b, c, d);
        break;
      default:
        unreachable();
    }
    if (!(word & NO_BARRIER)) barrier();
  }
}
