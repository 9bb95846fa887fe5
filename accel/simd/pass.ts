import { DTYPES, GROUP } from '../../reference/lib/compactTensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import type { Engine } from './engine.js';
import { ATTENTION_ROWS } from './constants.js';
import { floatBits, type PlannedOp, type PlanOp } from './plan.js';
import type { SimdLayerNorm, SimdLinear, SimdRopeTables } from './upload.js';

/** An activation [T, width] at an address. Layers share it: `q` of one is written over that of the one before. */
export interface Activation {
  address: number;
  width: number;
}

interface Step extends PlannedOp {
  name: string | null;
  y: Activation | null;
}

/**
 * A forward pass of T tokens as it is planned, op by op; nothing is computed before {@link run}. The ops are those of
 * reference/, each with the name of the activation that it makes.
 */
export class Pass {
  readonly T: number;
  readonly #engine: Engine;
  readonly #steps: Step[] = [];
  #prefix = '';
  /** What was quantised last. */
  #tokens: { x: Activation; group: number } | null = null;

  constructor(engine: Engine, T: number) {
    this.#engine = engine;
    this.T = T;
  }

  /** Plans with `prefix` before all names. */
  within<Result>(prefix: string, plan: () => Result): Result {
    this.#prefix = prefix;
    const result = plan();
    this.#prefix = '';
    return result;
  }

  /** Plans ops that do not depend on each other, so that no thread waits between them. */
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
    const from = this.T > 1 && (dtype === 'int8' || dtype === 'int4') ? this.#quantized(x, GROUP[dtype]) : x.address;
    const form = DTYPES.indexOf(dtype);
    return this.#plan('linear', name, N, (y) => [from, weight, bias, y, this.T, K, N, form, scales, scratch]);
  }

  rope(name: string, x: Activation, { cos, sin, H, interleaved }: SimdRopeTables, past: number): Activation {
    const D = x.width / H;
    const skipped = past * (D / 2) * 4;
    const cosSin = [cos + skipped, sin + skipped];
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

  /** Computes all that was planned: at one go, or step by step for somebody who looks. */
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

  /** Many tokens as the integers that integer weights are multiplied with; planned once for layers with the same input. */
  #quantized(x: Activation, group: number): number {
    const tokens = 4 * Math.ceil(this.T / 4);
    const groups = Math.ceil(x.width / group);
    const address = this.#engine.place(`tokens ${x.width} ${group}`, tokens * groups * (2 * group + 4));
    if (this.#tokens?.x !== x || this.#tokens.group !== group) {
      const args = [x.address, address, this.T, x.width, group];
      this.#steps.push({ op: 'quantizeTokens', args, noBarrier: false, name: null, y: null });
      this.#tokens = { x, group };
    }
    return address;
  }

  #plan(op: PlanOp, name: string, width: number, args: (y: number) => readonly number[]): Activation {
    const y = { address: this.#engine.place(name, 4 * this.T * width), width };
    this.#steps.push({ op, args: args(y.address), name: this.#prefix + name, y });
    return y;
  }
}
