import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type Outcome } from '../support/cli.js';
import { fixture } from '../support/golden.js';
import { ROOT } from './documents.js';
import { agrees, type Snippet } from './snippets.js';

/** The commands are written for a POSIX shell. */
export const NO_SHELL: string | null = process.platform === 'win32' ? 'the commands need a POSIX shell' : null;

/** A golden model with tanh GELU, and with that key removed from its config. */
const MODEL = fixture('models/tanh');

/** A temporary folder that looks like a checkout and has the models that the documents name. */
export async function openCheckout(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emergent-docs-'));
  for (const name of await readdir(ROOT)) {
    if (name !== '.git') await symlink(join(ROOT, name), join(folder, name));
  }
  await linkModels(folder);
  await symlink(join(MODEL, 'truth.safetensors'), join(folder, 'golden.safetensors'));
  await cp(MODEL, join(folder, 'my-model'), { recursive: true });
  const config = JSON.parse(await readFile(join(MODEL, 'config.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(config.gelu_approximate, 'tanh');
  delete config.gelu_approximate;
  await writeFile(join(folder, 'my-model/config.json'), JSON.stringify(config));
  return folder;
}

/** Puts models where the documents say `path/to/...`. */
export async function linkModels(folder: string): Promise<void> {
  await mkdir(join(folder, 'path/to'), { recursive: true });
  await symlink(MODEL, join(folder, 'path/to/model'));
  await symlink(join(ROOT, 'models/demo'), join(folder, 'path/to/model-64-float'));
}

/** Runs commands in one shell, so that `cd` lasts, and compares status and output with the document. */
export async function runSnippets(snippets: readonly Snippet[], cwd: string): Promise<void> {
  const log = await mkdtemp(join(tmpdir(), 'emergent-log-'));
  try {
    const script = snippets.map(
      ({ command }, i) => `{ ${command}\n} >"${log}/${i}.out" 2>"${log}/${i}.err"
echo $? >"${log}/${i}.code"`,
    );
    await run('bash', ['-c', script.join('\n')], '', cwd);
    for (const [i, snippet] of snippets.entries()) {
      const [stdout, stderr, code] = await Promise.all(
        ['out', 'err', 'code'].map((kind) => readFile(join(log, `${i}.${kind}`), 'utf8')),
      );
      assertAgrees(snippet, { code: Number(code), stdout, stderr });
    }
  } finally {
    await rm(log, { recursive: true, force: true });
  }
}

/** A document shows stdout and perhaps the end of stderr below it, or nothing at all. */
function assertAgrees({ command, output }: Snippet, { code, stdout, stderr }: Outcome): void {
  const hasDifference = output.some((line) => line.startsWith('DIFF:'));
  assert.equal(code, hasDifference ? 1 : 0, `$ ${command}\nends with ${code}:\n${stdout}${stderr}`);
  if (output.length === 0) return;
  const shown = (end: number): boolean =>
    agrees(stdout, output.slice(0, end)) && agrees(stderr, ['...', ...output.slice(end)]);
  const matches = Array.from({ length: output.length + 1 }, (_, end) => shown(end));
  if (!matches.includes(true)) assert.equal(stdout + stderr, output.join('\n'), `$ ${command}`);
}
