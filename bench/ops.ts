/**
 * Times every op for 1 and for 128 tokens, at the sizes of Model_64_FLOAT, on every available backend:
 *
 *     npm run bench:ops [-- --backends reference,gpu:webasm] [--json]
 *
 * GB/s counts each input and output once, whatever the op really moves. The percentage is the share of the copy bandwidth
 * that bandwidth.ts measures first.
 */
import Benchmark from 'benchmark';
import { Command } from 'commander';
import type { Device, GpuBackend } from '../accel/gpu/device.js';
import { openDevice } from '../accel/gpu/openDevice.js';
import { median, round } from '../src/bench.js';
import { table } from '../src/cli/output.js';
import { DeviceError } from '../accel/errors.js';
import { deviceBandwidth, hostBandwidth } from './bandwidth.js';
import { cases, type Case } from './cases.js';
import { namesFrom } from './setup.js';

interface Figure {
  op: string;
  shape: string;
  backend: string;
  ms: number;
  gflop_s: number;
  gb_s: number;
  /** The share of the copy bandwidth in percent. */
  percent: number;
}

/** The median time of a run in seconds, after one warm-up run. */
async function time(name: string, body: () => Promise<unknown>): Promise<number> {
  await body();
  return new Promise((resolve, reject) => {
    new Benchmark(name, {
      defer: true,
      minSamples: 5,
      maxTime: 0.5,
      fn: (deferred: { resolve: () => void }) => {
        body().then(() => {
          deferred.resolve();
        }, reject);
      },
    })
      .on('complete', function (this: Benchmark) {
        resolve(median(this.stats.sample));
      })
      .run();
  });
}

/** Waits only once per many runs on a real GPU, to keep its queue full. */
async function timeOnDevice(device: Device, { op, gpu }: Case): Promise<number> {
  const runs = device.backend === 'webgpu' && !device.software ? 20 : 1;
  let seconds = 0;
  await device.scope(async () => {
    const run = await gpu(device);
    seconds = await time(op, () =>
      device.scope(async () => {
        for (let i = 1; i < runs; i++) await run();
        const y = await run();
        if (device.backend === 'webgpu') await device.read(y);
        return null;
      }),
    );
    return null;
  });
  return seconds / runs;
}

async function secondsOf(it: Case, backend: string): Promise<number> {
  if (backend === 'reference') return time(it.op, () => Promise.resolve(it.reference()));
  const device = await openDevice(backend.slice('gpu:'.length) as GpuBackend);
  try {
    return await timeOnDevice(device, it);
  } finally {
    await device.dispose();
  }
}

async function measure(it: Case, backend: string): Promise<Figure> {
  const seconds = await secondsOf(it, backend);
  const rate = it.bytes / seconds;
  return {
    ...{ op: it.op, shape: it.shape, backend },
    ms: round(1000 * seconds),
    gflop_s: round(it.flops / seconds / 1e9),
    gb_s: round(rate / 1e9),
    percent: round((100 * rate) / bandwidths[backend]),
  };
}

const BACKENDS = ['reference', 'gpu:webgpu', 'gpu:webasm', 'gpu:cpu'];
const flags = new Command('bench:ops')
  .option('--backends <names>', 'backends to time', namesFrom(BACKENDS), BACKENDS)
  .option('--json', 'print the figures as JSON')
  .parse()
  .opts<{ backends: string[]; json?: boolean }>();

const bandwidths: Record<string, number> = {};
const host = await hostBandwidth();
for (const backend of flags.backends) {
  bandwidths[backend] = host;
  if (backend !== 'gpu:webgpu') continue;
  try {
    const device = await openDevice('webgpu');
    process.stderr.write(`${backend} is ${device.adapter}\n`);
    bandwidths[backend] = await deviceBandwidth(device);
    await device.dispose();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    process.stderr.write(`skipped ${backend}: ${error.message}\n`);
    Reflect.deleteProperty(bandwidths, backend);
  }
}
const figures: Figure[] = [];
for (const it of cases()) {
  for (const backend of Object.keys(bandwidths)) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${it.op} ${it.shape} on ${backend}`);
    figures.push(await measure(it, backend));
  }
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
if (flags.json) {
  process.stdout.write(`${JSON.stringify({ bandwidths, figures })}\n`);
} else {
  for (const [backend, rate] of Object.entries(bandwidths)) {
    process.stdout.write(`${backend} has copy bandwidth ${(rate / 1e9).toFixed(1)} GB/s\n`);
  }
  const columns = ['op', 'shape', 'backend', 'ms', 'gflop_s', 'gb_s', 'percent'] as const;
  process.stdout.write(`${table([columns, ...figures.map((row) => columns.map((column) => row[column]))])}\n`);
}
