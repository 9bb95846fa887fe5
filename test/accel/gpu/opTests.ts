import assert from 'node:assert/strict';
import type { GpuBackend } from '../../../accel/gpu/device.js';
import { DEVICES, onEveryBackend, useDevice } from '../../support/devices.js';
import { printTable } from '../../support/golden.js';
import { Meter, PARITY } from '../parity.js';
import { gpuOps } from './ops.js';

const report: string[][] = [['op', 'backend', 'largest error', 'its bound', 'share', 'compared']];

/** Checks each op against its oracle on some backends. */
export function opTests(backends: readonly GpuBackend[]): void {
  onEveryBackend(
    'each op on GPU.js against its oracle',
    (backend) => {
      const device = useDevice(backend);
      for (const [op, check] of Object.entries(PARITY)) {
        it(op, async () => {
          const meter = new Meter();
          await check(gpuOps(device()), meter);
          const { error, bound, share, compared } = meter;
          report.push([
            op,
            backend,
            error.toExponential(1),
            bound.toExponential(1),
            share.toFixed(2),
            String(compared),
          ]);
        });
      }
      it('frees everything it allocates', () => {
        assert.equal(device().live, 0);
      });
    },
    backends,
  );
}

after(() => {
  if (report.length === 1) return;
  console.log(`\n${DEVICES}\n`);
  printTable(report);
});
