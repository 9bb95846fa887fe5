import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../support/cli.js';
import { brokenLinks, pagesIn } from '../support/siteLinks.js';
import { ROOT } from './documents.js';

describe('npm run build:site', () => {
  it('writes the playground, the API and the book without a broken link', async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'build:site'], '', ROOT);
    assert.equal(code, 0, stdout + stderr);
    const site = join(ROOT, 'dist/site');
    const pages = pagesIn(site);
    for (const page of ['index.html', 'api/index.html', 'book/index.html']) assert.ok(pages.includes(page), page);
    assert.deepEqual(
      pages.flatMap((page) => brokenLinks(site, page)),
      [],
    );
  });
});
