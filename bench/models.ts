/**
 * A whole model of full size on every backend that is here, each in a process of its own so that memory is its own:
 *
 *     npm run bench [-- --model DIR] [--backends reference,simd] [--json]
 *
 * Without --model that is Model_64_FLOAT with weights made from hashes, in checkpoints/, written if it is not there.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { openDevice } from '../accel/gpu/device.js';
import { table } from '../src/cli/output.js';
import { messageOf } from '../reference/lib/errors.js';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const SYNTHETIC = fileURLToPath(new URL('../checkpoints/model_64_float', import.meta.url));

/** On `gpu:cpu` 512 tokens would take ten minutes. */
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
      else reject(new Error(`emergent ${args.join(' ')} ended with ${signal ?? code}`));
    });
  });
}

/** A software GPU would take hours, and prove nothing. */
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
  .option('--model <dir>', 'model folder', SYNTHETIC)
  .option('--backends <names>', 'which', 'reference,simd,gpu:webgpu,gpu:webasm,gpu:cpu')
  .option('--json', 'print the figures as JSON')
  .parse()
  .opts<{ model: string; backends: string; json?: boolean }>();

if (flags.model === SYNTHETIC && !existsSync(SYNTHETIC)) {
  await emergent(['make-checkpoint', '--preset', 'model_64_float', '--out', SYNTHETIC]);
}
const results: Result[] = [];
for (const backend of flags.backends.split(',')) {
  const reason = await reasonToSkip(backend);
  if (reason !== null) {
    process.stderr.write(`${backend} is skipped: ${reason}\n`);
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
