import assert from 'node:assert/strict';
import * as reference from '../../reference/index.js';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import type { Float32Tensor } from '../../reference/lib/tensor.js';
import { fixture, halfUlp, manifest, printTable, readTruth, relativeDistance } from '../support/golden.js';

interface Attributes {
  ids: number[];
  repeats: number;
  eps: number;
  heads: number;
  pairing: ModelConfig['ropePairing'];
  theta: number;
  start: number;
  approximate: ModelConfig['geluApproximate'];
}

/** How each golden op is called on the reference. */
const CALLS: Record<string, (x: Record<string, Float32Tensor>, a: Attributes) => reference.Tensor> = {
  embedding: ({ table }, { ids }) => reference.embedding(ids, table),
  repeatInterleave: ({ x }, { repeats }) => reference.repeatInterleave(x, repeats),
  layerNorm: ({ x, weight, bias = null }, { eps }) => reference.layerNorm(x, { weight, bias }, eps),
  linear: ({ x, weight, bias = null }) => reference.linear(x, { weight, bias }),
  rope: ({ x }, { heads, pairing, theta, start }) => {
    const [T, C] = x.shape;
    return reference.rope(x, heads, reference.ropeTables(C / heads, theta, start, T), pairing);
  },
  attention: ({ q, k, v }, { heads }) => reference.attention(q, k, v, heads),
  softmax: ({ x }) => reference.softmax(x),
  gelu: ({ x }, { approximate }) => reference.gelu(x, approximate),
  feedForward: (x, { approximate }) =>
    reference.feedForward(
      x.x,
      { weight: x['up.weight'], bias: x['up.bias'] },
      { weight: x['down.weight'], bias: x['down.bias'] },
      approximate,
    ),
};

/** Golden files that are not the result of one op; each has a test of its own below. */
const NOT_CALLED = ['erf', 'erfc', 'ropeTables'];

/** Ops that compute in float64 throughout and round once; the feed-forward is three ops and rounds between them. */
const ROUNDS_ONCE = Object.keys(CALLS).filter((op) => op !== 'feedForward');

/** How far float64 itself may be off: sums in another order, relative to the tensor's rms. */
const FLOAT64_SLACK = 1e-12;

describe('golden ops', () => {
  let truth: Map<string, Float64Array>;
  let float32: Map<string, Float64Array>;
  const inputs = new Map<string, Float32Tensor>();

  before(async () => {
    truth = await readTruth('ops/truth.safetensors');
    float32 = await readTruth('ops/float32.safetensors');
    const file = await openSafetensors(fixture('ops/inputs.safetensors'));
    for (const [name, { dtype }] of file.tensors) if (dtype === 'F32') inputs.set(name, await file.readFloat32(name));
    await file.close();
  });

  function run(op: string, name: string): reference.Tensor {
    const { inputs: names, attributes } = manifest.ops[op][name];
    const x = Object.fromEntries(names.map((argument) => [argument, inputs.get(`${op}/${name}/${argument}`)!]));
    const before = structuredClone(x);
    const y = CALLS[op](x, attributes as unknown as Attributes);
    assert.deepEqual(x, before, `${op}/${name} changed its inputs`);
    return y;
  }

  it('every op with golden files has its line in CALLS', () => {
    assert.deepEqual([...Object.keys(CALLS), ...NOT_CALLED].sort(), Object.keys(manifest.ops).sort());
  });

  for (const op of Object.keys(CALLS)) {
    it(`${op} comes at least as near to the truth as PyTorch float32`, () => {
      const rows = Object.keys(manifest.ops[op]).map((name) => {
        const key = `${op}/${name}`;
        const ours = relativeDistance(run(op, name).data, truth.get(key)!);
        const pytorch = relativeDistance(float32.get(key)!, truth.get(key)!);
        return { name, ours, pytorch };
      });
      printTable([
        ['case', 'reference', 'PyTorch float32'],
        ...rows.map(({ name, ours, pytorch }) => [name, ours.toExponential(2), pytorch.toExponential(2)]),
      ]);
      for (const { name, ours, pytorch } of rows) {
        // Two results that both round correctly can differ where the truth lies halfway, by a millionth of a rounding.
        assert.ok(ours <= pytorch * (1 + 1e-6), `${op}/${name}: ${ours} from the truth, PyTorch ${pytorch}`);
      }
    });
  }

  for (const op of ROUNDS_ONCE) {
    it(`${op} is off by one rounding at most`, () => {
      for (const name of Object.keys(manifest.ops[op])) {
        const y = run(op, name).data;
        const expected = truth.get(`${op}/${name}`)!;
        const finite = expected.filter(Number.isFinite);
        const scale = Math.max(...finite.map(Math.abs), 0);
        expected.forEach((value, i) => {
          const where = `${op}/${name} element ${i}: ${y[i]}, truth ${value}`;
          if (Number.isFinite(value)) {
            assert.ok(Math.abs(y[i] - value) <= halfUlp(value) + FLOAT64_SLACK * scale, where);
            if (value === 0 && y[i] === 0) assert.ok(Object.is(y[i], value), where);
          } else assert.ok(Object.is(y[i], value), where);
        });
      }
    });
  }

  it('ropeTables has the angles of PyTorch, float32 products and all', () => {
    for (const [name, { attributes }] of Object.entries(manifest.ops.ropeTables)) {
      const { D, theta, start, T } = attributes as Record<string, number>;
      const tables = reference.ropeTables(D, theta, start, T);
      for (const part of ['cos', 'sin'] as const) {
        const expected = truth.get(`ropeTables/${name}/${part}`)!;
        tables[part].forEach((value, i) => {
          assert.ok(Math.abs(value - expected[i]) <= 2 ** -52, `${name} ${part} ${i}: ${value}, truth ${expected[i]}`);
        });
      }
    }
  });

  for (const [name, bound] of [
    ['erf', 6e-16],
    ['erfc', 8e-15],
  ] as const) {
    it(`${name} has a relative error under ${bound} against 50-digit arithmetic`, async () => {
      const file = await openSafetensors(fixture('ops/inputs.safetensors'));
      const { data: x } = await file.readFloat64(`${name}/grid/x`);
      await file.close();
      const expected = truth.get(`${name}/grid`)!;
      let worst = 0;
      x.forEach((value, i) => {
        const y = reference[name](value);
        // Where the result is denormal, fewer than 53 bits are left to be right.
        const tolerated = Math.abs(expected[i]) < 2 ** -1000 ? 2 ** -1000 : 0;
        const error = Math.max(0, Math.abs(y - expected[i]) - tolerated) / (Math.abs(expected[i]) || 1);
        if (error > worst) worst = error;
      });
      console.log(`      largest relative error ${worst.toExponential(2)} over ${x.length} arguments`);
      assert.ok(worst <= bound, `${worst}`);
    });
  }
});
