import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { assertResult, codeBlocks, resultsOf } from '../support/examples.js';

const folder = new URL('../../reference/', import.meta.url);

/** The doc comments of a file that stand before an exported function or class, by its name. */
function docsOf(file: string): [name: string, doc: string][] {
  const source = readFileSync(new URL(file, folder), 'utf8');
  const documented = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport (?:function|class) (\w+)/g);
  return [...documented].map(([, doc, name]) => [name, doc.replaceAll(/^ \* ?/gm, '')]);
}

/** Helpers that no reader calls. */
const WITHOUT = ['softmaxInPlace'];

describe('examples', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'index.ts');

  for (const file of files) {
    it(`of ${file} give the values beside them`, () => {
      const docs = docsOf(file).filter(([name]) => !WITHOUT.includes(name));
      assert.ok(docs.length > 0, 'nothing is exported');
      for (const [name, doc] of docs) {
        const results = codeBlocks(doc.split('@example')[1] ?? '').flatMap(resultsOf);
        assert.ok(results.length > 0, `${name} has no @example with a value`);
        assert.equal(results.length, doc.split('// =>').length - 1, `${name}: a value stands outside the example`);
        results.forEach(assertResult);
      }
    });
  }
});
