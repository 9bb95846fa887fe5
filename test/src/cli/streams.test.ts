import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { skip } from '../../support/setup.js';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const command = [process.execPath, '--import', 'tsx/esm', main];
const run = promisify(execFile);

describe('streams and signals of the command line', () => {
  let folder: string;
  before(async function () {
    if (process.platform === 'win32') skip(this, 'needs bash and POSIX signals');
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
  });
  after(async () => {
    if (folder) await rm(folder, { recursive: true });
  });

  it('answers without a reader of stderr, or with a full one', async function () {
    const targets = ['2> >(true)', '2>&-'];
    if (process.platform === 'linux') targets.push('2>/dev/full');
    for (const target of targets) {
      const ask = `${command.join(' ')} ask --backend reference --max-new-tokens 4 "What is the capital of Japan?" ${target}`;
      const { stdout } = await run('bash', ['-c', ask]);
      assert.match(stdout, /^Tokyo\n/, target);
    }
  });

  it('leaves no file when a signal ends it', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const out = join(folder, signal);
      const child = spawn(command[0], [
        ...command.slice(1),
        'make-checkpoint',
        '--preset',
        'model_64_float',
        '--out',
        out,
      ]);
      for (let files: string[] = []; files.length === 0;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        files = await readdir(out).catch(() => []);
      }
      child.kill(signal);
      const [exit] = (await once(child, 'exit')) as [number];
      assert.equal(exit, code);
      assert.deepEqual(await readdir(out), [], signal);
    }
  });

  it('writes tensors to standard output', async () => {
    const { stdout } = await run(
      command[0],
      [...command.slice(1), 'logits', '--tokens', '1,2', '--backend', 'reference', '--out', '-'],
      { encoding: 'buffer' },
    );
    const length = Number(stdout.readBigUInt64LE());
    assert.match(stdout.subarray(8, 8 + length).toString(), /"logits":\{"dtype":"F32","shape":\[2,1024\]/);
    assert.equal(stdout.length, 8 + length + 4 * 2 * 1024);
  });

  it('refuses to write over a model, its own inputs, or where nothing can be', async () => {
    const held = join(folder, 'held');
    const counts = join(folder, 'counts.json');
    await writeFile(counts, '[]');
    const refuse = async (args: string[], message: RegExp): Promise<void> => {
      const failed = (await run(command[0], [...command.slice(1), ...args]).catch((error: unknown) => error)) as {
        code: number;
        stderr: string;
      };
      assert.equal(failed.code, 2);
      assert.match(failed.stderr, message);
    };
    await run(command[0], [...command.slice(1), 'convert', '--dtype', 'f16', '--out', held]);
    await Promise.all([
      refuse(['make-checkpoint', '--preset', 'model_16_bit', '--out', held], /config\.json already exists; --force/),
      refuse(['build-tokenizer', '--ngrams', counts, '--out', held], /config\.json already exists; --force/),
      refuse(['logits', '--model', held, '--tokens', '1', '--out', join(held, 'model.safetensors')], /is an input/),
      refuse(['trace', '--model', held, '--tokens', '1', '--out', join(held, 'config.json')], /is an input/),
      refuse(['neighbors', 'Peru', '--among', counts, '--html', counts], /is an input/),
      refuse(
        ['neighbors', 'Peru', '--among', counts, '--count', '-1'],
        /--count[^\n]*It must be an integer of at least 1\.$/m,
      ),
      refuse(['logit-lens', 'x', '--html', join(folder, 'none', 'x')], /cannot be written: .*none does not exist/),
    ]);
  });
});
