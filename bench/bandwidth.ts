import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Device } from '../accel/gpu/device.js';
import { median } from '../src/bench.js';
import { tensor } from '../reference/lib/tensor.js';

const BYTES = 2 ** 28;
const REPEATS = 7;

/** A worker that copies an array too large for the caches on every message and reports back. */
const COPIER = `
const { parentPort, workerData } = require('node:worker_threads');
const from = new Uint8Array(workerData).fill(1), to = new Uint8Array(workerData).fill(2);
parentPort.on('message', () => { to.set(from); parentPort.postMessage(0); });
parentPort.postMessage(0);
`;

/** This machine's memory bandwidth while every core copies: bytes read plus bytes written per second. */
export async function hostBandwidth(): Promise<number> {
  const size = Math.floor(BYTES / availableParallelism());
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(COPIER, { eval: true, workerData: size }),
  );
  const allDone = (): Promise<unknown> =>
    Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  await allDone();
  const rates: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const begun = performance.now();
    const done = allDone();
    for (const worker of workers) worker.postMessage(0);
    await done;
    rates.push((2 * size * workers.length) / ((performance.now() - begun) / 1000));
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return median(rates);
}

/** The bandwidth of a GPU's memory, measured with copies on the device. */
export async function deviceBandwidth(device: Device): Promise<number> {
  const width = 2 ** 14;
  const rates: number[] = [];
  await device.scope(async () => {
    const x = await device.upload(tensor([BYTES / 4 / width, width]));
    for (let i = 0; i < REPEATS; i++) {
      await device.scope(async () => {
        const begun = performance.now();
        const copies = 4;
        let copy = x;
        for (let n = 0; n < copies; n++) copy = await device.rows(x, 0, x.shape[0]);
        await device.read(await device.rows(copy, 0, 1));
        rates.push((2 * copies * BYTES) / ((performance.now() - begun) / 1000));
        return null;
      });
    }
    return null;
  });
  return median(rates);
}
