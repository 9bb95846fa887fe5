import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as reference from '../../reference/index.js';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';

const PAGES = ['README.md', 'book/ops.md', 'book/around.md'];

function locate(page: string): URL {
  return new URL(`../../reference/${page}`, import.meta.url);
}

/** The shorthands that the book's code uses beside the exports of the reference. */
const SHORTHANDS = {
  matrix: (rows: number[][]): Tensor => tensor([rows.length, rows[0].length], Float32Array.from(rows.flat())),
  vector: (values: number[]): Tensor => tensor([values.length], Float32Array.from(values)),
};

/** Every ```ts block of a page. */
function blocksOf(text: string): string[] {
  return [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
}

/** Each result of a block beside the comment that states it. `expression; // => value` stands on one line. */
function resultsOf(code: string): { line: string; actual: number[]; expected: string[] }[] {
  const found: ReturnType<typeof resultsOf> = [];
  const body = code.replaceAll(/^(.*?);? \/\/ => (.*)$/gm, (line, expression: string, value: string) => {
    return `record(${JSON.stringify(line)}, ${expression}, ${JSON.stringify(value)});`;
  });
  function record(line: string, value: Iterable<number> | number, stated: string): void {
    const actual = typeof value === 'number' ? [value] : [...value];
    found.push({ line, actual, expected: stated.match(/-?\d+(\.\d+)?/g) ?? [] });
  }
  const scope = { ...reference, ...SHORTHANDS, record };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call
  new Function(...Object.keys(scope), body)(...Object.values(scope));
  return found;
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
      let stated = 0;
      for (const code of blocksOf(text)) {
        for (const { line, actual, expected } of resultsOf(code)) {
          stated++;
          assert.equal(actual.length, expected.length, line);
          expected.forEach((digits, i) => {
            const decimals = digits.split('.')[1]?.length ?? 0;
            const bound = decimals === 0 ? 1e-6 : 0.5 * 10 ** -decimals + 1e-9;
            assert.ok(Math.abs(actual[i] - Number(digits)) <= bound, `${line}: element ${i} is ${actual[i]}`);
          });
        }
      }
      assert.equal(stated, text.split('// =>').length - 1, 'a result stands outside of a block, or two on a line');
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
      (name) => !['block', 'erf', 'erfc', 'forward', 'ropeTables'].includes(name),
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
