import { DTYPES, GROUP } from '../../reference/lib/compactTensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import type { Engine } from './engine.js';
import { ATTENTION_ROWS } from './constants.js';
import { floatBits, type PlannedOp, type PlanOp } from './plan.js';
import type { SimdLayerNorm, SimdLinear, SimdRopeTables } from './upload.js';

/** An activation [T, width] at an address. Layers share addresses: each layer's `q` overwrites the previous layer's. */
export interface Activation {
  address: number;
  width: number;
}

/** The tokens of one sequence among those of a pass. */
export interface Span {
  /** Row of the first one. */
  start: number;
  T: number;
  /** Number of tokens before them. */
  past: number;
}

/** A span with the addresses of a layer's page tables, into which it is stored. */
export interface CachedSpan extends Span {
  keys: number;
  values: number;
}

interface Step extends PlannedOp {
  name: string | null;
  y: Activation | null;
}

/**
 * Plans a forward pass of T tokens, of one sequence or of several, op by op; {@link run} then computes it. The ops are those of reference/; `name` is the
 * name of the activation that an op writes.
 */
export class Pass {
  readonly T: number;
  readonly #engine: Engine;
  readonly #steps: Step[] = [];
  #prefix = '';
  /** The activation quantized last. */
  #quantized: { x: Activation; group: number } | null = null;

  constructor(engine: Engine, T: number) {
    this.#engine = engine;
    this.T = T;
  }

  /** Plans ops whose names start with `prefix`. */
  within<Result>(prefix: string, plan: () => Result): Result {
    this.#prefix = prefix;
    const result = plan();
    this.#prefix = '';
    return result;
  }

  /** Plans ops that do not depend on each other, so the threads skip the barriers between them. */
  independent<Result>(plan: () => Result): Result {
    const first = this.#steps.length;
    const result = plan();
    for (const step of this.#steps.slice(first, -1)) step.noBarrier ??= true;
    return result;
  }

  embedding(name: string, ids: number, table: number, E: number): Activation {
    return this.#plan('embedding', name, E, (y) => [ids, table, y, this.T, E]);
  }

  repeatInterleave(name: string, x: Activation, repeats: number): Activation {
    return this.#plan('repeatInterleave', name, x.width * repeats, (y) => [x.address, y, this.T, x.width, repeats]);
  }

  layerNorm(name: string, x: Activation, { weight, bias, eps }: SimdLayerNorm): Activation {
    const { address, width: C } = x;
    return this.#plan('layerNorm', name, C, (y) => [address, weight, bias, y, this.T, C, floatBits(eps)]);
  }

  linear(name: string, x: Activation, { weight, bias, N, dtype, scales }: SimdLinear): Activation {
    const { width: K } = x;
    const { scratch } = this.#engine;
    const isInteger = dtype === 'int8' || dtype === 'int4';
    const from = this.T > 1 && isInteger ? this.#quantize(x, GROUP[dtype]) : x.address;
    const dtypeIndex = DTYPES.indexOf(dtype);
    return this.#plan('linear', name, N, (y) => [from, weight, bias, y, this.T, K, N, dtypeIndex, scales, scratch]);
  }

  rope(name: string, x: Activation, { cos, sin, H, interleaved }: SimdRopeTables, spans: readonly Span[]): Activation {
    const D = x.width / H;
    return this.#planEach('rope', name, x.width, spans, ({ start, T, past }, y) => {
      const offset = past * (D / 2) * 4;
      return [rowOf(x, start), cos + offset, sin + offset, rowOf(y, start), T, H, D, Number(interleaved)];
    });
  }

  appendKv(x: Activation, side: 'keys' | 'values', H: number, spans: readonly CachedSpan[]): void {
    this.independent(() => {
      for (const span of spans) {
        const args = [rowOf(x, span.start), span[side], span.T, H, x.width / H, span.past];
        this.#steps.push({ op: 'appendKv', args, name: null, y: null });
      }
    });
  }

  attention(name: string, q: Activation, H: number, spans: readonly CachedSpan[]): Activation {
    const { threads } = this.#engine;
    const scoresRow = Math.max(...spans.map(({ past, T }) => past + T)); // threads may be in different spans
    const scores = this.#engine.place('scores', 4 * ATTENTION_ROWS * scoresRow * threads);
    return this.#planEach('attention', name, q.width, spans, ({ start, T, past, keys, values }, y) => {
      const D = q.width / H;
      return [rowOf(q, start), keys, values, rowOf(y, start), T, H, D, past, scores, scoresRow];
    });
  }

  gelu(name: string, x: Activation, approximate: 'none' | 'tanh'): Activation {
    const tanh = Number(approximate === 'tanh');
    return this.#plan('gelu', name, x.width, (y) => [x.address, y, this.T * x.width, tanh]);
  }

  add(name: string, a: Activation, b: Activation): Activation {
    return this.#plan('add', name, a.width, (y) => [a.address, b.address, y, this.T * a.width]);
  }

  /** Runs the plan: all ops at once, or op by op for a trace. */
  async run(trace?: Trace): Promise<void> {
    if (!trace) {
      await this.#engine.run(this.#steps);
      return;
    }
    for (const step of this.#steps) {
      await this.#engine.run([step]);
      if (step.name !== null) trace(step.name, this.#engine.read(step.y!.address, [this.T, step.y!.width]));
    }
  }

  /** Plans the conversion of tokens to the integers that integer weights need, once per input. @returns their address */
  #quantize(x: Activation, group: number): number {
    const tokens = 4 * Math.ceil(this.T / 4);
    const groups = Math.ceil(x.width / group);
    const address = this.#engine.place(`tokens ${x.width} ${group}`, tokens * groups * (2 * group + 4));
    if (this.#quantized?.x !== x || this.#quantized.group !== group) {
      const args = [x.address, address, this.T, x.width, group];
      this.#steps.push({ op: 'quantizeTokens', args, noBarrier: false, name: null, y: null });
      this.#quantized = { x, group };
    }
    return address;
  }

  #plan(op: PlanOp, name: string, width: number, args: (y: number) => readonly number[]): Activation {
    const y = { address: this.#engine.place(name, 4 * this.T * width), width };
    this.#steps.push({ op, args: args(y.address), name: this.#prefix + name, y });
    return y;
  }

  /** Plans an op once for each span. A trace sees the result when the last of them is done. */
  #planEach<S extends Span>(
    op: PlanOp,
    name: string,
    width: number,
    spans: readonly S[],
    args: (span: S, y: Activation) => readonly number[],
  ): Activation {
    const y = { address: this.#engine.place(name, 4 * this.T * width), width };
    this.independent(() => {
      for (const span of spans) this.#steps.push({ op, args: args(span, y), name: null, y });
    });
    this.#steps[this.#steps.length - 1].name = this.#prefix + name;
    return y;
  }
}

/** The address of a row of an activation. */
function rowOf({ address, width }: Activation, row: number): number {
  return address + 4 * row * width;
}
