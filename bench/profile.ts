/**
 * Profiles simd op by op at full size, for decoding a token and for reading a prompt.
 *
 *     npm run bench:profile [-- --dtype int8]
 *
 * All ops of a kind run one after another, in the order of a whole pass, so the caches are in a realistic state.
 */
import { setFlagsFromString } from 'node:v8';
import { Command, Option } from 'commander';
import { Engine } from '../accel/simd/engine.js';
import { KvCache } from '../accel/simd/kvCache.js';
import { SimdMemory } from '../accel/simd/memory.js';
import { forward } from '../accel/simd/model.js';
import type { PlannedOp } from '../accel/simd/plan.js';
import { uploadModel } from '../accel/simd/upload.js';
import { openWeightsHome } from '../src/backend.js';
import { median } from '../src/bench.js';
import { loadModel } from '../src/checkpoint/loadModel.js';
import { progressBar, table } from '../src/cli/output.js';
import { DTYPES, type Dtype } from '../reference/lib/compactTensor.js';
import { CHECKPOINT } from './setup.js';

const REPEATS = 9;
const STEPS = [
  { T: 1, past: 128 },
  { T: 1, past: 1000 },
  { T: 128, past: 0 },
];

const { dtype, model: folder } = new Command('bench:profile')
  .addOption(new Option('--dtype <name>').choices(DTYPES).default('f32'))
  .option('--model <dir>', 'model folder', CHECKPOINT)
  .parse()
  .opts<{ dtype: Dtype; model: string }>();

if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
const { model } = await loadModel(folder, { dtype, home: await openWeightsHome('simd') });
const engine = await Engine.open({ memory: model.home instanceof SimdMemory ? model.home : undefined });
const uploaded = uploadModel(model, engine);
const run = engine.run.bind(engine);

async function time(ops: readonly PlannedOp[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const begun = performance.now();
    await run(ops);
    times.push(performance.now() - begun);
  }
  return median(times);
}

/** The name of an op in the table; linear layers are told apart by size. */
function kindOf({ op, args }: PlannedOp): string {
  return op === 'linear' ? `linear ${args[5]} → ${args[6]}` : op;
}

console.log(`${engine.adapter}, ${dtype}; medians of ${REPEATS}`);
for (const { T, past } of STEPS) {
  const cache = new KvCache(engine.memory, model.config);
  const ids = Array.from({ length: past + T }, (_, i) => (i * 7919) % model.config.vocabSize);
  for (let t = 0; t < past; t += 128) await forward(ids.slice(t, Math.min(t + 128, past)), uploaded, cache, 'last');
  const planned: PlannedOp[] = [];
  engine.run = (ops) => {
    planned.push(...ops);
    return run(ops);
  };
  await forward(ids.slice(past), uploaded, cache, 'last');
  engine.run = run;

  const kinds = new Map<string, PlannedOp[]>();
  for (const op of planned) kinds.set(kindOf(op), [...(kinds.get(kindOf(op)) ?? []), op]);
  const whole = await time(planned);
  const rows: (string | number)[][] = [];
  const show = progressBar(`${T} of ${past + T} tokens`, String);
  for (const [kind, ops] of kinds) {
    const ms = await time(ops);
    rows.push([kind, ops.length, Number(ms.toFixed(2)), `${((100 * ms) / whole).toFixed(0)} %`]);
    show(rows.length, kinds.size);
  }
  console.log(`\n${T} of ${past + T} tokens: ${whole.toFixed(1)} ms`);
  console.log(table([['op', 'calls', 'ms', 'share'], ...rows]));
  cache.dispose();
}
await engine.dispose();
