import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { commandsAt, read, ROOT } from '../docs/documents.js';
import { NO_SHELL, runSnippets } from '../docs/shell.js';
import { blocksOf } from '../docs/snippets.js';
import { run } from '../support/cli.js';
import { skip } from '../support/setup.js';

/** What git ignores: a fresh checkout has none of it. */
const IGNORED = ['.git', '.venv', '.cache', '.mutants', 'binary.ts', 'checkpoints', 'coverage', 'dist', 'docs-api'];

/** README from a fresh checkout to a project that uses the package, as a new user would. */
describe('README', () => {
  let folder: string;
  before(async function () {
    if (NO_SHELL) skip(this, NO_SHELL);
    folder = await mkdtemp(join(tmpdir(), 'emergent-readme-'));
    const filter = (path: string) => ![...IGNORED, 'node_modules'].includes(basename(path));
    await cp(ROOT, join(folder, 'emergent-semantics'), { recursive: true, filter });
    await mkdir(join(folder, 'my-project'));
  });
  after(async () => {
    if (!NO_SHELL) await rm(folder, { recursive: true });
  });

  for (const { title, snippets } of commandsAt('installed')) {
    it(`${title}: ${snippets[0].command}`, () => runSnippets(snippets, join(folder, 'emergent-semantics')));
  }

  it('has TypeScript that type-checks and runs in that project', async () => {
    const project = join(folder, 'my-project');
    const blocks = blocksOf(read('README.md')).filter(({ language }) => language === 'ts');
    const inBrowser = blocks.filter(({ text }) => text.includes('emergent-semantics/accel'));
    const inNode = blocks.filter((block) => !inBrowser.includes(block));
    assert.deepEqual([inBrowser.length, inNode.length], [1, 1]);
    await writeFile(join(project, 'node.mts'), inNode[0].text);
    await writeFile(join(project, 'browser.mts'), `${inBrowser[0].text}declare function show(piece: string): void;\n`);
    for (const name of ['@types/node', 'undici-types']) {
      await cp(join(ROOT, 'node_modules', name), join(project, 'node_modules', name), { recursive: true });
    }
    const compile = [join(ROOT, 'node_modules/typescript/bin/tsc'), '--module', 'nodenext', '--target', 'es2022'];
    for (const [file, lib, ...types] of [
      ['node.mts', 'es2023', '--types', 'node'],
      ['browser.mts', 'es2023,dom'],
    ]) {
      const options = ['--strict', '--lib', lib, ...types, file];
      const { code, stdout } = await run(process.execPath, [...compile, ...options], '', project);
      assert.equal(code, 0, stdout);
    }
    await mkdir(join(project, 'path/to'), { recursive: true });
    await symlink(join(ROOT, 'models/demo'), join(project, 'path/to/model'));
    const { stdout, stderr } = await run(process.execPath, ['node.mjs'], '', project);
    assert.equal(stdout, ' Tokyo', stderr);
  });
});
