import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, type Outcome } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';
import { skip } from '../../support/setup.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const COMMAND = 'node_modules/emergent-semantics/dist/src/cli/main.js';
const MODEL = fixture('models/tanh');

interface Runtime {
  /** The npm package that brings it. */
  from: string;
  command: string;
  args: string[];
  /** What it prints for `--version`. */
  version: RegExp;
}

const RUNTIMES: Record<string, Runtime> = {
  'Node 22': { from: 'node@22', command: 'node', args: [], version: /^v22\./ },
  'Node 24': { from: 'node@24', command: 'node', args: [], version: /^v24\./ },
  Deno: { from: 'deno@2', command: 'deno', args: ['run', '--allow-all'], version: /^deno 2\./ },
  Bun: { from: 'bun@1', command: 'bun', args: [], version: /^1\./ },
};

/** The packed package on other runtimes than the one of the tests: it answers, and agrees with one golden file. */
describe('the package on other runtimes', () => {
  let folder: string;
  before(async function () {
    folder = await mkdtemp(join(tmpdir(), 'emergent-runtimes-'));
    const reachable = await run('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000'], '', folder);
    if (reachable.code !== 0) skip(this, 'npm cannot reach its registry');
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder], '', ROOT);
    assert.equal(packed.code, 0, packed.stderr);
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!;
    const installed = await run('npm', ['install', '--no-audit', '--no-fund', `./${tarball}`], '', folder);
    assert.equal(installed.code, 0, installed.stderr);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const [name, { from, command, args, version }] of Object.entries(RUNTIMES)) {
    describe(name, () => {
      const start = (...rest: string[]): Promise<Outcome> =>
        run('npm', ['exec', '--yes', `--package=${from}`, '--', command, ...rest], '', folder);
      const emergent = (...rest: string[]): Promise<Outcome> => start(...args, COMMAND, ...rest);

      it('is the version that it should be', async () => {
        const { stdout, stderr } = await start('--version');
        assert.match(stdout, version, stderr);
        console.log(`        ${stdout.split('\n')[0]}`);
      });

      it('answers', async () => {
        const { code, stdout, stderr } = await emergent('ask', 'What is the capital of Japan?');
        assert.deepEqual([code, stdout], [0, 'Tokyo\n'], stderr);
        assert.match(stderr, /^4 tokens, .+ \((simd|gpu:\w+)\)\n$/);
      });

      it('agrees with PyTorch on one golden file', async () => {
        for (const backend of ['reference', 'simd']) {
          const golden = ['--model', MODEL, '--golden', join(MODEL, 'truth.safetensors')];
          const { code, stdout, stderr } = await emergent('verify', '--backend', backend, ...golden);
          assert.equal(code, 0, stdout + stderr);
          assert.match(stdout, new RegExp(`^OK: all 3[24] activations of ${backend} agree with PyTorch`, 'm'));
        }
      });
    });
  }

  // `auto` looks for a GPU in /dev, for which Deno demands every permission.
  it('needs only --allow-read of Deno with a named backend', async () => {
    const deno = [
      'exec',
      '--yes',
      `--package=${RUNTIMES.Deno.from}`,
      '--',
      'deno',
      'run',
      '--no-prompt',
      '--allow-read',
    ];
    const ask = [COMMAND, 'ask', '--backend', 'simd', 'What is the capital of Japan?'];
    const { stdout, stderr } = await run('npm', [...deno, ...ask], '', folder);
    assert.equal(stdout, 'Tokyo\n', stderr);
  });
});
