import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';
import { assertResult, codeBlocks, resultsOf } from '../support/examples.js';

const folder = new URL('../../reference/', import.meta.url);

/** Every exported function and class of a source, with its doc comment, or '' without one. */
function docsOf(source: string): [name: string, doc: string][] {
  const { statements } = ts.createSourceFile('op.ts', source, ts.ScriptTarget.ES2022, true);
  return statements
    .filter((statement) => ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement))
    .filter(({ modifiers }) => modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
    .filter((statement, i, all) => all.findIndex(({ name }) => name?.text === statement.name?.text) === i) // of overloads
    .map((statement) => {
      const doc = ts.getJSDocCommentsAndTags(statement).find(ts.isJSDoc)?.getText() ?? '';
      return [statement.name!.text, doc.replaceAll(/^ \* ?/gm, '')];
    });
}

/** Runs the example of an op and compares its values. */
function check(name: string, doc: string): void {
  const results = codeBlocks(doc.split('@example')[1] ?? '').flatMap(resultsOf);
  assert.ok(results.length > 0, `${name} has no @example with a value`);
  assert.equal(results.length, doc.split('// =>').length - 1, `${name}: a value stands outside the example`);
  results.forEach(assertResult);
}

/** Helpers that no reader calls. */
const WITHOUT = ['softmaxInPlace'];

describe('examples', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'index.ts');

  for (const file of files) {
    it(`of ${file} give the values beside them`, () => {
      const source = readFileSync(new URL(file, folder), 'utf8');
      const docs = docsOf(source).filter(([name]) => !WITHOUT.includes(name));
      assert.ok(docs.length > 0, 'nothing is exported');
      for (const [name, doc] of docs) check(name, doc);
    });
  }

  describe('are refused', () => {
    const good = readFileSync(new URL('rope.ts', folder), 'utf8');
    const checkAll = (source: string): void => docsOf(source).forEach(([name, doc]) => check(name, doc));

    it('with a wrong value', () => {
      checkAll(good);
      const bad = good.replace(
        "'half').data; // => [0.5403, 0, 0.8415, 0]",
        "'half').data; // => [0.5403, 0, 0.8416, 0]",
      );
      assert.throws(() => checkAll(bad), /element 2 is 0.841/);
    });

    it('without a value, without an example, or without a doc comment', () => {
      const missing = /rope has no @example with a value/;
      const doc = good.slice(good.lastIndexOf('/**'), good.indexOf('export function rope('));
      assert.throws(() => checkAll(good.replace(doc, doc.replaceAll(/\/\/ => .*/g, ''))), missing);
      assert.throws(() => checkAll(good.replace(doc, doc.replace('@example', ''))), missing);
      assert.throws(() => checkAll(good.replace(doc, '')), missing);
    });
  });
});
