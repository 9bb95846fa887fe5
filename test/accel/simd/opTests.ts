import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { Engine } from '../../../accel/simd/engine.js';
import { maxRow, uploadLinear } from '../../../accel/simd/upload.js';
import * as oracle from '../../../reference/index.js';
import { GROUP } from '../../../reference/lib/compactTensor.js';
import { packTensor } from '../../../reference/lib/pack.js';
import { tensor } from '../../../reference/lib/tensor.js';
import { printTable } from '../../support/golden.js';
import { checkLinear, Meter, PARITY, type AcceleratedOps } from '../parity.js';
import { simdOps } from './ops.js';

// Node 20 has relaxed SIMD behind a flag; later versions enable it
setFlagsFromString('--experimental-wasm-relaxed-simd');

const report: string[][] = [['op', 'threads', 'largest error', 'its bound', 'share', 'compared']];

/** Linear layers with weights in fewer bits, against the reference with the same weights. */
const COMPACT = (['bf16', 'f16', 'int8', 'int4'] as const).map((dtype): [string, (typeof PARITY)[string]] => [
  `linear ${dtype}`,
  async (ops, meter) => {
    const group = dtype === 'int8' || dtype === 'int4' ? GROUP[dtype] : 0;
    await checkLinear(
      meter,
      ops.linear,
      [
        [1, 1, 1],
        [1, 1031, 1009],
        [1, 4096, 131],
        [1, maxRow(dtype), 9],
        [1025, 8, 5],
        [3, 2048, 1027],
        [6, 64, 64],
        [7, 1031, 19],
        [9, 600, 24],
      ],
      {
        pack: (weight) => packTensor(weight, dtype),
        loss: (x, weight) => (group === 0 ? 0 : tokenLoss(x, weight, group)),
      },
    );
  },
]);

/** The error bound of a token as 16-bit integers: half a step per element, where a step is the group's maximum / 32767. */
function tokenLoss(x: Float32Array, weight: Float32Array, group: number): number {
  let loss = 0;
  for (let k = 0; k < x.length; k += group) {
    const largest = x.subarray(k, k + group).reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const sizes = weight.subarray(k, k + group).reduce((sum, value) => sum + Math.abs(value), 0);
    loss += (largest / 32767 / 2) * sizes;
  }
  return loss;
}

/**
 * Checks rows of one value, and rows that spread over a few units in the last place above it, against the reference. Their
 * float32 mean is off by up to the spread. The bound of {@link PARITY} grows with the mean and would not notice; this one is
 * about four times the largest error seen.
 */
async function checkNarrowRows(layerNorm: AcceleratedOps['layerNorm']): Promise<void> {
  const eps = 1e-12;
  for (const C of [5, 64, 1024, 1031]) {
    const values = [1234.567, -0.1, 1e6 + 0.3];
    for (const value of values.map(Math.fround)) {
      const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 23);
      const x = tensor([2, C]);
      x.data.fill(value, 0, C);
      for (let c = 0; c < C; c++) x.data[C + c] = value + unit * ((c * 7) % 4);
      const weights = { weight: tensor([C]), bias: tensor([C]) };
      weights.weight.data.fill(1);
      const expected = oracle.layerNorm(x, weights, eps).data;
      const { data } = await layerNorm(x, weights, eps);
      for (const [i, truth] of expected.entries()) {
        const error = Math.abs(data[i] - truth);
        assert.ok(error <= 5e-7, `C = ${C}, x = ${x.data[i]}: ${data[i]} instead of ${truth}`);
      }
    }
  }
}

/** Checks each op against its oracle on engines of several kinds. */
export function opTests(engines: readonly { threads: number; relaxed: boolean }[]): void {
  describe('each op on SIMD against its oracle', () => {
    for (const { threads, relaxed } of engines) {
      const name = `${threads}${relaxed ? ', relaxed' : ''}`;
      describe(`on threads: ${name}`, () => {
        let engine: Engine;
        before(async () => {
          engine = await Engine.open({ threads, relaxed });
          assert.equal(engine.adapter.includes('relaxed'), relaxed);
          assert.equal(engine.threads, threads);
        });
        after(() => engine.dispose());

        it('rejects rows too long for the scratch memory of a thread', () => {
          for (const dtype of ['bf16', 'f16', 'int8', 'int4'] as const) {
            const weight = packTensor(tensor([1, maxRow(dtype) + 1]), dtype);
            assert.throws(() => uploadLinear({ weight, bias: null }, engine), /exceed its limit of \d+/);
          }
        });

        it('layerNorm of rows with a mean far over their spread, and a tiny eps', async () => {
          await checkNarrowRows(simdOps(engine).layerNorm);
        });

        for (const [op, check] of [...Object.entries(PARITY), ...COMPACT]) {
          it(op, async () => {
            const meter = new Meter();
            await check(simdOps(engine), meter);
            const { error, bound, share, compared } = meter;
            const figures = [error.toExponential(1), bound.toExponential(1), share.toFixed(2), String(compared)];
            report.push([op, name, ...figures]);
          });
        }
      });
    }
  });
}

after(() => {
  if (report.length === 1) return;
  console.log('');
  printTable(report);
});
