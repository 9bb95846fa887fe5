import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeBook } from '../../site/book.js';
import { brokenLinks, pagesIn } from '../support/siteLinks.js';

describe('the reference book as pages', () => {
  let site: string;
  before(async () => {
    site = await mkdtemp(join(tmpdir(), 'emergent-book-'));
    await writeBook(join(site, 'book'));
    // what the book links to beside itself
    await mkdir(join(site, 'api'));
    for (const page of ['index.html', 'api/index.html']) await writeFile(join(site, page), '');
  });
  after(() => rm(site, { recursive: true, force: true }));

  it('has every chapter, figure and source, and no broken link', () => {
    const pages = pagesIn(site);
    for (const page of ['index.html', 'ops.html', 'around.html', 'architecture.svg', 'rotary.svg']) {
      assert.ok(pages.includes(`book/${page}`), page);
    }
    assert.ok(pages.includes('book/source/reference/layerNorm.ts.html'));
    const broken = pages.flatMap((page) => brokenLinks(site, page));
    assert.deepEqual(broken, []);
  });

  it('finds a broken link and a missing anchor', async () => {
    const path = join(site, 'book/around.html');
    const html = await readFile(path, 'utf8');
    await writeFile(
      path,
      html.replace('href="#glossary"', 'href="#glossar"').replace('href="ops.html"', 'href="op.html"'),
    );
    assert.deepEqual(brokenLinks(site, 'book/around.html'), [
      'book/around.html: #glossar has no such anchor',
      'book/around.html: op.html does not exist',
    ]);
    await writeFile(path, html);
  });
});
