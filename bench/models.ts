/**
 * Times a full-size model on every available backend, each in its own process so that peak memory is separate:
 *
 *     npm run bench [-- --model DIR] [--backends reference,simd] [--json]
 *
 * The default model is Model_64_FLOAT with weights made from hashes. It is written to checkpoints/ if it does not exist.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { openDevice } from '../accel/gpu/openDevice.js';
import { table } from '../src/cli/output.js';
import { EmergentError, messageOf } from '../reference/lib/errors.js';
import { CHECKPOINT, namesFrom } from './setup.js';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const BACKENDS = ['reference', 'simd', 'gpu:webgpu', 'gpu:webasm', 'gpu:cpu'];

/** Shorter runs: 512 tokens on `gpu:cpu` would take ten minutes. */
const SHORT: Record<string, string[]> = { 'gpu:cpu': ['--prefill', '16', '--decode', '16', '--steps', '3'] };

interface Result {
  backend: string;
  adapter: string;
  load_ms: number;
  first_token_ms: number;
  prefill_tok_s: Record<string, number>;
  decode_ms: Record<string, number>;
  peak_rss_mb: number;
}

function emergent(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new EmergentError(`emergent ${args.join(' ')} failed with ${signal ?? code}`));
    });
  });
}

/** Skips software GPUs: they would take hours, and their speed means nothing. */
async function reasonToSkip(backend: string): Promise<string | null> {
  if (backend !== 'gpu:webgpu') return null;
  try {
    const device = await openDevice('webgpu');
    await device.dispose();
    return device.software ? `${device.adapter} is software` : null;
  } catch (error) {
    return messageOf(error);
  }
}

const flags = new Command('bench')
  .option('--model <dir>', 'model folder', CHECKPOINT)
  .option('--backends <names>', 'backends to time', namesFrom(BACKENDS), BACKENDS)
  .option('--json', 'print the figures as JSON')
  .parse()
  .opts<{ model: string; backends: string[]; json?: boolean }>();

if (flags.model === CHECKPOINT && !existsSync(CHECKPOINT)) {
  await emergent(['make-checkpoint', '--preset', 'model_64_float', '--out', CHECKPOINT]);
}
const results: Result[] = [];
for (const backend of flags.backends) {
  const reason = await reasonToSkip(backend);
  if (reason !== null) {
    process.stderr.write(`skipped ${backend}: ${reason}\n`);
    continue;
  }
  process.stderr.write(`${backend} …\n`);
  const output = await emergent([
    ...['bench', '--json', '--model', flags.model, '--backend', backend],
    ...(SHORT[backend] ?? []),
  ]);
  results.push(JSON.parse(output) as Result);
}
if (flags.json) {
  process.stdout.write(`${JSON.stringify(results)}\n`);
} else {
  const lengthsOf = (key: 'prefill_tok_s' | 'decode_ms'): string[] => [
    ...new Set(results.flatMap((result) => Object.keys(result[key]))),
  ];
  const [prefill, decode] = [lengthsOf('prefill_tok_s'), lengthsOf('decode_ms')];
  process.stdout.write(
    `${table([
      ['backend', 'load ms', 'first token ms', ...prefill.map((n) => `prefill ${n}, tok/s`)].concat(
        decode.map((n) => `decode at ${n}, ms`),
        'peak MB',
      ),
      ...results.map((result) => [
        ...[result.backend, result.load_ms, result.first_token_ms],
        ...prefill.map((n) => result.prefill_tok_s[n] ?? '-'),
        ...decode.map((n) => result.decode_ms[n] ?? '-'),
        result.peak_rss_mb,
      ]),
    ])}\n`,
  );
}
