import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as reference from '../../reference/index.js';
import { assertResult, codeBlocks, resultsOf } from '../support/examples.js';
import { anchorsOf, faultOf, linksOf } from '../support/links.js';

const PAGES = ['README.md', 'book/ops.md', 'book/around.md'];

function locate(page: string): URL {
  return new URL(`../../reference/${page}`, import.meta.url);
}

describe('book', () => {
  for (const page of PAGES) {
    const text = readFileSync(locate(page), 'utf8');

    it(`${page}: every stated result is what the sources compute, to the digits given`, () => {
      const results = codeBlocks(text).flatMap(resultsOf);
      results.forEach(assertResult);
      assert.equal(
        results.length,
        text.split('// =>').length - 1,
        'a result stands outside of a block, or two on a line',
      );
    });

    it(`${page}: every relative link and anchor exists`, () => {
      const faults = linksOf(fileURLToPath(locate(page)))
        .map((link) => faultOf(fileURLToPath(locate(page)), link))
        .filter((fault) => fault !== null);
      assert.deepEqual(faults, []);
    });
  }

  it('has a chapter for every op', () => {
    const chapters = anchorsOf(fileURLToPath(locate('book/ops.md')));
    const ops = Object.keys(reference).filter(
      (name) => !['block', 'erf', 'erfc', 'forward', 'matrix', 'ropeTables', 'tensor', 'vector'].includes(name),
    );
    for (const op of [...ops, 'model']) assert.ok(chapters.includes(op.toLowerCase()), op);
  });

  it('every link of a figure exists', () => {
    const figure = fileURLToPath(locate('architecture.svg'));
    const links = linksOf(figure);
    assert.ok(links.length > 10);
    for (const link of links) assert.equal(faultOf(figure, link), null);
  });
});
