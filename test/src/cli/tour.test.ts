import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { load } from '../../../src/index.js';
import { activationNames } from '../../../reference/lib/trace.js';
import { emergent } from '../../support/cli.js';

/** The names at the start of lines, in order. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/^(embedding|expanded|layers\.\S+|final_norm|logits) /gm)].map(([, name]) => name);
}

describe('tour', () => {
  let all: string[];
  before(async () => {
    const model = await load();
    all = activationNames(model.config, true);
    await model.dispose();
  });
  const outside = (name: string) => !name.startsWith('layers.');

  it('names every op of the first block once and every other layer in a line, and ends by itself', async () => {
    const { code, stdout, stderr } = await emergent(['tour']);
    assert.deepEqual([code, stderr], [0, '']);
    const before = all.filter((name) => outside(name) || name.startsWith('layers.0.'));
    before.splice(-2, 0, 'layers.1', 'layers.2', 'layers.3');
    assert.deepEqual(namesIn(stdout), before);
    assert.match(stdout, /Prediction: the next token\n {2}" ?T\w*" +\d/);
  });

  it('fits 80 columns, and names files that exist', async () => {
    const { stdout } = await emergent(['tour', `What is ${'the capital of '.repeat(5)}Japan?`]);
    for (const line of stdout.split('\n')) assert.ok(Array.from(line).length <= 80, line);
    const files = [...stdout.matchAll(/reference\/\w+\.ts$/gm)].map(([file]) => file);
    assert.ok(files.length > 15);
    for (const file of files) assert.ok(existsSync(new URL(`../../../${file}`, import.meta.url)), file);
  });

  it('--layer shows that layer in full and no other beyond the first', async () => {
    const { stdout } = await emergent(['tour', '--layer', '2']);
    assert.deepEqual(
      namesIn(stdout),
      all.filter((name) => outside(name) || /^layers\.[02]\./.test(name)),
    );
  });

  it('answers bad options with one line', async () => {
    for (const [args, message] of [
      [['--layer', '4'], /^emergent: --layer must be between 0 and 3, got 4\n$/],
      [['--layer', '-1'], /^emergent: .*--layer.*must be an integer of at least 0\.\n$/],
      [['--layer', 'x'], /^emergent: .*--layer.*must be an integer of at least 0\.\n$/],
      [['--colour'], /^emergent: unknown option '--colour'[^\n]*\n$/],
      [[' '], /^emergent: the question is empty\n$/],
    ] as const) {
      const { code, stdout, stderr } = await emergent(['tour', ...args]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    }
  });
});
