/**
 * Compares our backends with other engines at full size. Each runs in its own process, one after another, in rounds:
 *
 *     npm run bench:peers [-- --rounds 3] [--only simd,onnxruntime-node] [--out FILE]
 *
 * An engine whose logits differ from PyTorch float64 is reported and left out. Writes JSON and, next to it, a chart.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { median } from '../../src/bench.js';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { progressBar, table } from '../../src/cli/output.js';
import { messageOf } from '../../reference/lib/errors.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { CHECKPOINT, namesFrom, parseCount } from '../setup.js';
import { chart } from './chart.js';
import { readBandwidth } from './readBandwidth.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = join(ROOT, 'golden/full/model_64_float.safetensors');
const EMERGENT = join(ROOT, 'dist/src/cli/main.js');
const THREADS = availableParallelism();

const PREFILL = [16, 128, 512];
const DECODE = [16, 128, 512, 1000];
const STEPS = 16;
/** The bytes of weights that a token reads. Of the embedding it reads only one row, so that is not counted. */
const BYTES = 4 * 267_960_320;

interface Timing {
  version?: string;
  load_ms: number;
  first_token_ms: number;
  prefill_tok_s: Record<string, number>;
  decode_ms: Record<string, number>;
  peak_rss_mb: number;
}

interface Contender {
  name: string;
  /** Writes the logits after the golden file's tokens. Not needed if `time` writes them as raw float32. */
  check?: (tokens: readonly number[], file: string) => string[];
  /** Prints a {@link Timing}. */
  time: (tokens: readonly number[], file: string) => string[];
  /** The largest relative distance allowed; compact weights are rounded on purpose. */
  allowed: number;
  /** Whether it writes log-probabilities without the head's bias. */
  lacksBias?: boolean;
}

function ours(backend: string, dtype: string, allowed: number): Contender {
  const common = ['--model', CHECKPOINT, '--backend', backend, '--dtype', dtype];
  const lists = ['--prefill', PREFILL.join(), '--decode', DECODE.join(), '--steps', String(STEPS)];
  return {
    name: dtype === 'f32' ? backend : `${backend} ${dtype}`,
    check: (tokens, file) => [
      process.execPath,
      EMERGENT,
      'logits',
      ...common,
      '--tokens',
      tokens.join(),
      '--out',
      file,
    ],
    time: () => [process.execPath, EMERGENT, 'bench', '--json', ...common, ...lists],
    allowed,
  };
}

function plan(tokens: readonly number[]): string {
  return JSON.stringify({ tokens, prefill: PREFILL, decode: DECODE, steps: STEPS });
}

function onnxruntime(kind: 'node' | 'web'): Contender {
  return {
    name: `onnxruntime-${kind}`,
    time: (tokens, file) => [
      ...[process.execPath, join(HERE, 'ort.mjs'), kind, join(HERE, '.cache/model.onnx'), plan(tokens)],
      ...[String(THREADS), file],
    ],
    allowed: 1e-5,
  };
}

/** llama.cpp computes GELU from a float16 table and keeps its cache in float16, so not even float32 is near the truth. */
function llama(type: string, allowed: number): Contender {
  return {
    name: `llama.cpp ${type}`,
    time: (tokens, file) => [
      ...[process.execPath, join(HERE, 'llama.mjs'), join(HERE, `.cache/model-${type}.gguf`), plan(tokens)],
      ...[String(THREADS), file],
    ],
    allowed,
    lacksBias: true,
  };
}

const CONTENDERS: readonly Contender[] = [
  ours('simd', 'f32', 1e-5),
  onnxruntime('node'),
  onnxruntime('web'),
  {
    name: 'PyTorch',
    time: (tokens, file) => [
      ...[join(HERE, '.cache/venv/bin/python'), join(HERE, 'model.py'), CHECKPOINT, '--time', plan(tokens)],
      ...['--threads', String(THREADS), '--logits', file],
    ],
    allowed: 1e-5,
  },
  ours('simd', 'bf16', 0.02),
  ours('simd', 'int8', 0.05),
  ours('simd', 'int4', 0.5),
  llama('f32', 0.01),
  llama('q8_0', 0.05),
  llama('q4_0', 0.5),
];

/** Runs a command to its end and returns its stdout. */
function run([command, ...args]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`it failed with ${signal ?? code}: ${errors.trim().split('\n').at(-1) ?? ''}`));
    });
  });
}

/** The relative L2 distance of the logits after the last token from the golden file's samples of them. */
async function distance(file: string, lacksBias = false): Promise<number> {
  const golden = await readGolden(GOLDEN);
  const { data: truth, step } = golden.tensors.get('logits')!;
  const bytes = await readFile(file);
  let logits = new Float32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
  const V = 65536;
  if (bytes.length !== 4 * V) {
    const own = await openSafetensors(file);
    logits = (await own.readFloat32('logits')).data.slice(-V);
    await own.close();
  }
  const before = (golden.header.tokens.length - 1) * V;
  const pairs = [...truth].flatMap((value, i) => {
    const at = i * step - before;
    return at < 0 ? [] : [{ at, value }];
  });
  if (lacksBias) logits = await withBias(logits);
  const constant = lacksBias ? mean(pairs.map(({ at, value }) => value - logits[at])) : 0;
  const lost = mean(pairs.map(({ at, value }) => (logits[at] + constant - value) ** 2));
  return Math.sqrt(lost / mean(pairs.map(({ value }) => value ** 2)));
}

async function withBias(logits: Float32Array): Promise<Float32Array<ArrayBuffer>> {
  const weights = await openSafetensors(join(CHECKPOINT, 'model.safetensors'));
  const { data: bias } = await weights.readFloat32('lm_head.bias');
  await weights.close();
  return Float32Array.from(logits, (value, i) => value + bias[i]);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function medians(timings: readonly Timing[], key: 'prefill_tok_s' | 'decode_ms'): Record<string, number> {
  return Object.fromEntries(
    Object.keys(timings[0][key]).map((length) => [length, median(timings.map((timing) => timing[key][length]))]),
  );
}

const { rounds, only, out } = new Command('bench:peers')
  .option('--rounds <n>', 'how often each engine is timed', parseCount, 3)
  .option('--only <names>', 'engines to time', namesFrom(CONTENDERS.map(({ name }) => name)))
  .option('--out <file>', 'file for the results as JSON', join(HERE, '.cache/result.json'))
  .parse()
  .opts<{ rounds: number; only?: string[]; out: string }>();

execFileSync('bash', [join(HERE, 'setup.sh')], { stdio: 'inherit' });
execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });

const { tokens } = (await readGolden(GOLDEN)).header;
const folder = await mkdtemp(join(tmpdir(), 'emergent-peers-'));
const contenders = CONTENDERS.filter(({ name }) => !only || only.includes(name));
const timings = new Map<string, Timing[]>();
/** The rate at which decoding reads weights, as a share of the read bandwidth in the same round. */
const shares = new Map<string, number[]>();
const distances = new Map<string, number>();
const bandwidths: number[] = [];
const show = progressBar('runs', String);
for (let round = 0; round < rounds; round++) {
  bandwidths.push(await readBandwidth(THREADS));
  for (const [i, { name, check, time, allowed, lacksBias }] of contenders.entries()) {
    const file = join(folder, name.replaceAll(' ', '-'));
    try {
      if (round === 0 && check) await run(check(tokens, file));
      const timing = JSON.parse(await run(time(tokens, file))) as Timing;
      if (round === 0) distances.set(name, await distance(file, lacksBias));
      if (distances.get(name)! > allowed)
        throw new Error(`its logits are off by ${distances.get(name)!.toExponential(1)}`);
      timings.set(name, [...(timings.get(name) ?? []), timing]);
      const share = BYTES / (timing.decode_ms['128'] / 1000) / bandwidths[round];
      shares.set(name, [...(shares.get(name) ?? []), share]);
    } catch (error) {
      process.stderr.write(`skipped ${name} in round ${round + 1}: ${messageOf(error)}\n`);
    }
    show(round * contenders.length + i + 1, rounds * contenders.length);
  }
}
await rm(folder, { recursive: true });

const results = [...timings].map(([name, all]) => ({
  name,
  version: all[0].version ?? 'this',
  distance: distances.get(name)!,
  load_ms: median(all.map(({ load_ms }) => load_ms)),
  first_token_ms: median(all.map(({ first_token_ms }) => first_token_ms)),
  prefill_tok_s: medians(all, 'prefill_tok_s'),
  decode_ms: medians(all, 'decode_ms'),
  of_reading: median(shares.get(name)!),
  spread: all.map(({ decode_ms }) => decode_ms['128']),
  peak_rss_mb: median(all.map(({ peak_rss_mb }) => peak_rss_mb)),
}));
const read = bandwidths.map((rate) => rate / 1e9);
const report = { machine: cpus()[0].model, threads: THREADS, rounds, read_gb_s: read, results };
await writeFile(out, `${JSON.stringify(report, null, 1)}\n`);
await writeFile(out.replace(/(\.json)?$/, '.svg'), chart(results));

const round1 = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(value < 100 ? 1 : 0));
console.log(
  `${report.machine}, ${THREADS} threads, memory read at ${read.map((rate) => rate.toFixed(1)).join(', ')} GB/s; medians of ${rounds}\n`,
);
console.log(
  table([
    [
      '',
      'first token s',
      ...PREFILL.map((n) => `prefill ${n} tok/s`),
      ...DECODE.map((n) => `decode @${n} ms`),
      'of reading',
      'peak MB',
      'rel. L2',
    ],
    ...results.map(({ name, first_token_ms, prefill_tok_s, decode_ms, of_reading, peak_rss_mb, distance: off }) => [
      name,
      (first_token_ms / 1000).toFixed(2),
      ...PREFILL.map((n) => round1(prefill_tok_s[n])),
      ...DECODE.map((n) => round1(decode_ms[n])),
      / (bf16|int|q)/.test(name) ? '' : `${(100 * of_reading).toFixed(0)} %`,
      peak_rss_mb.toFixed(0),
      off.toExponential(1),
    ]),
  ]),
);
