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

interface Step extends PlannedOp {
  name: string | null;
  y: Activation | null;
}

/**
 * Plans a forward pass of T tokens op by op; {@link run} then computes it. The ops are those of reference/; `name` is the
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

  rope(name: string, x: Activation, { cos, sin, H, interleaved }: SimdRopeTables, past: number): Activation {
    const D = x.width / H;
    const offset = past * (D / 2) * 4;
    const cosSin = [cos + offset, sin + offset];
    return this.#plan('rope', name, x.width, (y) => [x.address, ...cosSin, y, this.T, H, D, Number(interleaved)]);
  }

  appendKv(x: Activation, pages: number, H: number, past: number): void {
    const args = [x.address, pages, this.T, H, x.width / H, past];
    this.#steps.push({ op: 'appendKv', args, name: null, y: null });
  }

  attention(name: string, q: Activation, pages: { keys: number; values: number }, H: number, past: number): Activation {
    const { keys, values } = pages;
    const scores = this.#engine.place('scores', 4 * ATTENTION_ROWS * (past + this.T) * this.#engine.threads);
    const D = q.width / H;
    return this.#plan('attention', name, q.width, (y) => [q.address, keys, values, y, this.T, H, D, past, scores]);
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
}
