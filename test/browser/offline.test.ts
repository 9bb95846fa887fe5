import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../docs/documents.js';
import { describePlayground } from './playground.js';
import { serve } from './server.js';

describePlayground('the playground without a network', (playground) => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-offline-'));
    await cp(join(ROOT, 'dist/play'), folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('opens after one visit, in any folder of a host that is gone, with all views', async () => {
    const host = await serve({ deep: folder });
    const page = await playground.open('', {}, `${host.url}/deep/index.html`);
    await page.locator('[data-offline]').waitFor();
    await host.close();
    await page.goto('about:blank');
    await page.goto(`${host.url}/deep/index.html?from=a-link#view=walk&op=attn_norm&layer=1&token=3`);
    await page.locator('[data-source="layerNorm"]').waitFor();
    await page.getByRole('link', { name: /Ask/ }).click();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    assert.equal(await page.evaluate('crossOriginIsolated'), true, 'the kept page has its headers');
    await page.getByRole('link', { name: /Trust/ }).click();
    await page.locator('[data-backend="reference"] .verdict', { hasText: '60 of 60' }).waitFor();
    playground.forgive(/ERR_CONNECTION_REFUSED|404/);
  });

  it('shows a new version at the next visit, and keeps that one', async () => {
    const host = await serve({ deep: folder });
    try {
      const page = await playground.open('', {}, `${host.url}/deep/index.html`);
      await page.locator('[data-offline]').waitFor();
      const html = await readFile(join(folder, 'index.html'), 'utf8');
      await writeFile(join(folder, 'index.html'), html.replace('<title>', '<title>New: '));
      const script = await readFile(join(folder, 'serviceWorker.js'), 'utf8');
      await writeFile(join(folder, 'serviceWorker.js'), script.replace(/version\\":\\"\w+/, 'version\\":\\"next'));
      await page.reload();
      assert.match(await page.title(), /^New: /);
      await page.waitForFunction(`navigator.serviceWorker.getRegistration().then((it) => it.waiting !== null)`);
      await page.goto('about:blank'); // no page uses the old version any more
      await page.goto(`${host.url}/deep/index.html`);
      await page.waitForFunction(
        `caches.keys().then((names) => names.length === 1 && names[0].endsWith('/deep/ next'))`,
      );
    } finally {
      await host.close();
    }
  });
});
