/**
 * Times sequences that are decoded together beside one that is decoded alone, at full size.
 *
 *     npm run bench:batch [-- --dtype int8 --sizes 1,2,4,8,16 --threads 2]
 *
 * All sizes take turns, so that a busy machine slows all of them. Each sequence has 128 tokens of its own at first.
 */
import { setFlagsFromString } from 'node:v8';
import { Command, Option } from 'commander';
import { openBackend, openWeightsHome, type Session } from '../src/backend.js';
import { median } from '../src/bench.js';
import { loadModel } from '../src/checkpoint/loadModel.js';
import { table } from '../src/cli/output.js';
import { DTYPES, type Dtype } from '../reference/lib/compactTensor.js';
import { CHECKPOINT, parseCount } from './setup.js';

const ROUNDS = 9;
/** Steps that one round times of each size. */
const STEPS = 3;
const PROMPT = 128;

const options = new Command('bench:batch')
  .addOption(new Option('--dtype <name>').choices(DTYPES).default('f32'))
  .option('--model <dir>', 'model folder', CHECKPOINT)
  .option('--threads <n>', 'threads', parseCount, 2)
  .option('--sizes <list>', 'numbers of sequences', (text) => text.split(',').map(parseCount), [1, 2, 4, 8, 16])
  .parse()
  .opts<{ dtype: Dtype; model: string; threads: number; sizes: number[] }>();

if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
const name = `simd:${options.threads}`;
const { model } = await loadModel(options.model, { dtype: options.dtype, home: await openWeightsHome(name) });
const backend = await openBackend(model, name);
const { vocabSize: V } = model.config;
const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 7919) % V);

const sessions: Session[] = [];
for (let i = 0; i < Math.max(...options.sizes); i++) {
  const session = backend.openSession();
  await session.forward(prompt.map((id) => (id + i) % V));
  sessions.push(session);
}

/** The milliseconds of one step of the first `size` sequences. */
async function step(size: number, id: number): Promise<number> {
  const batch = sessions.slice(0, size).map((session, i) => ({ session, ids: [(id + i) % V] }));
  const begun = performance.now();
  await backend.forwardBatch(batch);
  return performance.now() - begun;
}

const times = new Map<number, number[]>(options.sizes.map((size) => [size, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [size, found] of times) {
    for (let i = 0; i < STEPS; i++) {
      const ms = await step(size, round * STEPS + i);
      if (round > 0) found.push(ms); // the first round warms up
    }
  }
}

console.log(`${backend.adapter}, ${options.dtype}; medians of ${ROUNDS * STEPS} steps in ${ROUNDS} rounds`);
const alone = median(times.get(options.sizes[0])!) / options.sizes[0];
const rows: (string | number)[][] = [['sequences', 'ms a step', 'tokens/s', `times ${options.sizes[0]}`]];
for (const [size, found] of times) {
  const ms = median(found);
  rows.push([size, ms.toFixed(1), ((1000 * size) / ms).toFixed(1), ((size * alone) / ms).toFixed(2)]);
}
console.log(table(rows));
for (const session of sessions) await session.dispose();
await backend.dispose();
