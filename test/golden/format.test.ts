import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compareFiles } from '../../src/verify/compareFiles.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { blocksOf } from '../docs/snippets.js';
import { run } from '../support/cli.js';
import { skip } from '../support/setup.js';

const document = await readFile(new URL('../../golden/FORMAT.md', import.meta.url), 'utf8');

function writerIn(language: string): string {
  const block = blocksOf(document).find((it) => it.language === language);
  assert.ok(block, `golden/FORMAT.md has a writer in ${language}`);
  return block.text;
}

type Write = (path: string, activations: object, tokens: number[], producer: string) => void;

/** Numbers that only float64 holds. */
const EMBEDDING = [0.1, -2, 1 / 3, 1e-300];

describe('the writers of golden/FORMAT.md', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'emergent-format-'))));
  after(() => rm(folder, { recursive: true }));

  async function check(path: string, producer: string): Promise<void> {
    const golden = await readGolden(path);
    assert.deepEqual(golden.header, { format: 1, producer, precision: 'float64', tokens: [3, 4] });
    assert.deepEqual([...golden.tensors.keys()].sort(), ['embedding', 'logits']);
    assert.deepEqual([...golden.tensors.get('embedding')!.data], EMBEDDING);
    assert.deepEqual(golden.tensors.get('logits')!.shape, [2, 1]);
    assert.ok(compareFiles(golden, golden).identical);
  }

  it('write in TypeScript what verify and compare read', async () => {
    const module = join(folder, 'writer.mts');
    await writeFile(module, writerIn('ts'));
    const { writeGolden } = (await import(pathToFileURL(module).href)) as { writeGolden: Write };
    const path = join(folder, 'ts.safetensors');
    const embedding = { shape: [2, 2], data: Float64Array.from(EMBEDDING) };
    writeGolden(path, { embedding, logits: { shape: [2, 1], data: Float64Array.of(5, 6) } }, [3, 4], 'a writer');
    await check(path, 'a writer');
  });

  it('write in Python what verify and compare read', async function () {
    const path = join(folder, 'python.safetensors');
    const call = `
import sys
activations = {"embedding": ([2, 2], [0.1, -2, 1 / 3, 1e-300]), "logits": ([2, 1], [5, 6])}
write_golden(sys.argv[1], activations, [3, 4], "Python \\u00e9")
`;
    const outcome = await run('python3', ['-c', writerIn('python') + call, path]).catch(() => null);
    if (!outcome) skip(this, 'no python3 to run the writer with');
    assert.equal(outcome.code, 0, outcome.stderr);
    await check(path, 'Python é');
  });
});
