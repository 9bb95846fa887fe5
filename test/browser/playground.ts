import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import { servePlayground } from '../../src/cli/play.js';
import { ROOT } from '../docs/documents.js';
import { run } from '../support/cli.js';
import { CHROMIUM } from './chromium.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIOLATIONS = `axe.run().then(({ violations }) =>
  violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)].join(' ')))`;

let built: Promise<unknown> | undefined;

/** Builds the page once for all test files. */
function buildPlayground(): Promise<unknown> {
  return (built ??= run('npm', ['run', '--silent', 'build:play'], '', ROOT).then(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stdout + stderr);
  }));
}

/** The built page in a browser, for the tests of one `describe`. */
export interface Playground {
  /** Where `emergent play` serves it. */
  readonly url: string;
  /** Opens an address in a fresh browser context. Whatever the page complains about fails the test. */
  open: (hash: string, options?: BrowserContextOptions, base?: string) => Promise<Page>;
  /** Complaints to take back, for a test that provokes them. */
  forgive: (pattern: RegExp) => void;
}

/** Describes tests of the page as `npm run build:play` writes it, with the headers of `emergent play`. */
export function describePlayground(name: string, define: (playground: Playground) => void): void {
  (existsSync(CHROMIUM) ? describe : describe.skip)(`${name} in ${CHROMIUM} (set CHROMIUM for another)`, () => {
    let url = '';
    let server: Server;
    let browser: Browser;
    let contexts: BrowserContext[] = [];
    /** What pages complained about, and what they asked of other hosts. */
    let complaints: string[] = [];

    before(async () => {
      await buildPlayground();
      ({ url, server } = await servePlayground(join(ROOT, 'dist/play'), 0, '127.0.0.1'));
      browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-background-networking'],
      });
    });
    after(async () => {
      await browser.close();
      server.closeAllConnections();
      server.close();
    });
    afterEach(async () => {
      for (const context of contexts) await context.close();
      contexts = [];
      const seen = complaints;
      complaints = [];
      assert.deepEqual(seen, []);
    });

    define({
      get url() {
        return url;
      },
      open: async (hash, options = {}, base = url) => {
        const context = await browser.newContext(options);
        contexts.push(context);
        const page = await context.newPage();
        page.on('console', (message) => {
          if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
        });
        page.on('pageerror', (error) => complaints.push(error.message));
        page.on('request', (request) => {
          const own = [new URL(base).origin, 'blob:'];
          if (!own.some((start) => request.url().startsWith(start))) complaints.push(request.url());
        });
        await page.goto(base + hash);
        return page;
      },
      forgive: (pattern) => {
        complaints = complaints.filter((complaint) => !pattern.test(complaint));
      },
    });
  });
}

/** Asserts that axe-core finds nothing and nothing scrolls sideways, at two widths and in both themes. */
export async function assertManners(page: Page): Promise<void> {
  await page.evaluate(AXE);
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const place = `${width} px, ${colorScheme}`;
      assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true, place);
      assert.deepEqual(await page.evaluate(VIOLATIONS), [], place);
    }
  }
}
