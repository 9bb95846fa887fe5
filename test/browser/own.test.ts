import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Page } from 'playwright-core';
import { ROOT } from '../docs/documents.js';
import { assertManners, describePlayground } from './playground.js';

const DEMO = join(ROOT, 'models/demo');

describePlayground('a model of the reader’s in the playground', (playground) => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-own-'));
    await cp(DEMO, folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function panel(page: Page): Promise<void> {
    await page.getByText('Use another model').click();
  }
  async function name(page: Page, address: string): Promise<void> {
    await page.locator('input[name=model]').fill(address);
    await page.getByRole('button', { name: 'Look up its size' }).click();
  }

  it('opens from a folder, after saying its size, and goes back to the demo', async () => {
    // the end of the weights is the head: with zeros there, every token is as likely as any other
    const weights = await readFile(join(folder, 'model.safetensors'));
    await writeFile(join(folder, 'model.safetensors'), weights.fill(0, weights.length / 2));
    const page = await playground.open('');
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    await panel(page);
    await page.locator('input[type=file]').setInputFiles(folder);
    await page.locator('[data-size]', { hasText: /: 4\.\d MB/ }).waitFor();
    await page.getByRole('button', { name: 'Open it' }).click();
    await page.locator('.model', { hasText: `${basename(folder)}: 4 layers` }).waitFor();
    await page.locator('[data-answer]:not([data-answer=" Tokyo"])').waitFor();
    await panel(page);
    await page.getByRole('button', { name: 'Back to the demo model' }).click();
    await page.locator('.model', { hasText: 'Demo model: 4 layers' }).waitFor();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
  });

  it('says what is wrong with a folder, and the model before stays', async () => {
    await writeFile(join(folder, 'config.json'), '{');
    const page = await playground.open('');
    await panel(page);
    await page.locator('input[type=file]').setInputFiles(folder);
    await page.getByRole('button', { name: 'Open it' }).click();
    const alert = page.locator('.own [role=alert]');
    assert.match((await alert.textContent()) ?? '', /config\.json/);
    await name(page, 'no id');
    await page.locator('.own [role=alert]', { hasText: /not a Hugging Face Hub id/ }).waitFor();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
  });

  it('comes from the Hub by its id, is in the address, and is kept', async () => {
    const requested: string[] = [];
    const page = await playground.open('', { serviceWorkers: 'block' });
    await page.context().route('https://huggingface.co/**', async (route) => {
      const request = route.request();
      const [, file] = /\/org\/name\/resolve\/main\/(.+)$/.exec(request.url())!;
      requested.push(`${request.method()} ${file}`);
      const body = await readFile(join(folder, file)).catch(() => null);
      const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'etag, content-length' };
      if (!body) return route.fulfill({ status: 404, headers });
      return route.fulfill({ body, headers: { ...headers, etag: `"${file}"`, 'content-length': String(body.length) } });
    });
    await panel(page);
    await name(page, 'org/name');
    await page.locator('[data-size="3979008"]').waitFor();
    assert.ok(
      requested.every((line) => line.startsWith('HEAD')),
      'nothing is downloaded unasked',
    );
    await page.getByRole('button', { name: 'Download and open it' }).click();
    await page.locator('.model', { hasText: 'org/name: 4 layers' }).waitFor();
    assert.match(new URL(page.url()).hash, /model=org%2Fname/);
    assert.ok(requested.includes('GET model.safetensors'));

    requested.length = 0;
    await page.reload();
    await page.getByRole('button', { name: 'Look up its size' }).click();
    await page.getByRole('button', { name: 'Download and open it' }).click();
    await page.locator('.model', { hasText: 'org/name: 4 layers' }).waitFor();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    assert.ok(!requested.includes('GET model.safetensors'), 'it was kept');
    playground.forgive(/huggingface\.co|404|blocked by Playwright/);
  });

  it('shows how far a download is, and cancels it', async () => {
    const page = await playground.open('', { serviceWorkers: 'block' });
    const own = `${playground.url}own/`;
    await page.context().route(`${own}**`, async (route) => {
      const file = route.request().url().slice(own.length);
      const body = await readFile(join(folder, file)).catch(() => null);
      if (!body) return route.fulfill({ status: 404 });
      if (file === 'model.safetensors' && route.request().method() === 'GET') return; // never answered
      return route.fulfill({ body, headers: { 'content-length': String(body.length) } });
    });
    await panel(page);
    await name(page, own);
    await page.getByRole('button', { name: 'Download and open it' }).click();
    await page.locator('.own [role=status]', { hasText: /config\.json|tokenizer/ }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.own [role=status]:empty').waitFor({ state: 'attached' });
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    playground.forgive(/404|blocked by Playwright/);
  });

  it('axe-core finds nothing, and 360 px do not scroll sideways', async () => {
    const page = await playground.open('#view=ask&model=org/name', { reducedMotion: 'reduce' });
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    await assertManners(page);
  });
});
