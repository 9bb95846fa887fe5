import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { Engine } from '../../../accel/simd/engine.js';
import { printTable } from '../../support/golden.js';
import { Meter, PARITY } from '../parity.js';
import { simdOps } from './ops.js';

// Node 20 knows relaxed SIMD but has it switched off; later ones have it on
setFlagsFromString('--experimental-wasm-relaxed-simd');

const report: string[][] = [['op', 'threads', 'largest error', 'its bound', 'share', 'compared']];

describe('each op on SIMD against its oracle', () => {
  for (const { threads, relaxed } of [
    { threads: 1, relaxed: false },
    { threads: 3, relaxed: false },
    { threads: 2, relaxed: true },
  ]) {
    const name = `${threads}${relaxed ? ', relaxed' : ''}`;
    describe(`on threads: ${name}`, () => {
      let engine: Engine;
      before(async () => {
        engine = await Engine.open({ threads, relaxed });
        assert.equal(engine.adapter.includes('relaxed'), relaxed);
        assert.equal(engine.threads, threads);
      });
      after(() => engine.dispose());

      for (const [op, check] of Object.entries(PARITY)) {
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

after(() => {
  if (report.length === 1) return;
  console.log('');
  printTable(report);
});
