import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Every module that `file` imports at run time, directly or indirectly. */
function importsOf(file: URL, found = new Set<string>()): Set<string> {
  const code = readFileSync(file, 'utf8');
  for (const [, clause, name] of code.matchAll(/^(?:import|export) ([^;]*?) ?from '([^']+)';/gm)) {
    if (clause.startsWith('type ')) continue;
    const target = name.startsWith('.') ? new URL(name.replace(/\.js$/, '.ts'), file) : null;
    const key = target ? fileURLToPath(target) : name;
    if (found.has(key)) continue;
    found.add(key);
    if (target) importsOf(target, found);
  }
  return found;
}

describe('in a browser', () => {
  for (const name of ['reader', 'writer', 'names', 'assemble', 'synthetic']) {
    it(`${name} imports no module of Node`, () => {
      const imports = importsOf(new URL(`../../../src/checkpoint/${name}.ts`, import.meta.url));
      assert.deepEqual(
        [...imports].filter((key) => !isAbsolute(key)),
        [],
      );
    });
  }

  it('the browser entry imports no module of Node and no Hub client', () => {
    const imports = importsOf(new URL('../../../src/browser.ts', import.meta.url));
    assert.deepEqual([...imports].filter((key) => !isAbsolute(key)).sort(), [
      '@huggingface/tokenizers',
      'pure-rand/distribution/uniformFloat64',
      'pure-rand/generator/mersenne',
      'valibot',
    ]);
  });

  it('the main entry does not import the Hub client until it is needed', () => {
    const imports = importsOf(new URL('../../../src/index.ts', import.meta.url));
    assert.deepEqual(
      [...imports].filter((key) => key === '@huggingface/hub' || key.endsWith('/src/folder/hub/hubFolder.ts')),
      [],
    );
  });

  it('the check finds such imports where they exist', () => {
    const imports = importsOf(new URL('../../../src/checkpoint/safetensors.ts', import.meta.url));
    assert.ok(imports.has('node:fs/promises'));
    assert.ok(importsOf(new URL('../../../src/folder/hub/hubFolder.ts', import.meta.url)).has('@huggingface/hub'));
  });
});
