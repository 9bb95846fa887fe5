import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as reference from '../../reference/index.js';
import { assertResult, codeBlocks, resultsOf } from '../support/examples.js';

const PAGES = ['README.md', 'book/ops.md', 'book/around.md'];

function locate(page: string): URL {
  return new URL(`../../reference/${page}`, import.meta.url);
}

/** GitHub's anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function anchorsOf(file: URL): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));
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
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const url = new URL(target, locate(page));
        const file = new URL(url.pathname, url);
        assert.ok(existsSync(fileURLToPath(file)), `${target} does not exist`);
        if (url.hash !== '') {
          assert.ok(anchorsOf(file).includes(decodeURIComponent(url.hash.slice(1))), `${target}: no such heading`);
        }
      }
    });
  }

  it('has a chapter for every op', () => {
    const chapters = anchorsOf(locate('book/ops.md'));
    const ops = Object.keys(reference).filter(
      (name) => !['block', 'erf', 'erfc', 'forward', 'matrix', 'ropeTables', 'tensor', 'vector'].includes(name),
    );
    for (const op of [...ops, 'model']) assert.ok(chapters.includes(op.toLowerCase()), op);
  });

  it('every link of a figure exists', () => {
    const figure = locate('architecture.svg');
    const links = [...readFileSync(figure, 'utf8').matchAll(/ href="([^"]+)"/g)].map(([, href]) => href);
    assert.ok(links.length > 10);
    for (const link of links) assert.ok(existsSync(fileURLToPath(new URL(link, figure))), link);
  });
});
