import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium, type Browser } from 'playwright-core';
import { askPrompt } from '../../src/languageModel.js';
import { read, ROOT } from '../docs/documents.js';
import { blocksOf } from '../docs/snippets.js';
import { CHROMIUM, FLAGS } from './chromium.js';
import type { PageFunctions } from './page.js';
import { serve, type Server } from './server.js';

/** README's headers by name, in lower case. */
const HEADERS: Record<string, string> = Object.fromEntries(
  blocksOf(read('README.md'))
    .filter(({ text }) => text.startsWith('Cross-Origin-'))
    .flatMap(({ text }) => [...text.matchAll(/^([\w-]+): (.+)$/gm)])
    .map(([, name, value]) => [name.toLowerCase(), value]),
);
const CSP = 'content-security-policy';
const { [CSP]: POLICY, ...ISOLATION } = HEADERS;

/** The folders of one page, each served with other headers. */
const PAGES: Record<string, Record<string, string>> = {
  all: HEADERS,
  shared: { [CSP]: POLICY },
  threadless: { ...HEADERS, [CSP]: POLICY.replace(/; worker-src [^;]+/, '') },
  strict: { [CSP]: "default-src 'self'" },
  wasmless: { ...HEADERS, [CSP]: POLICY.replace(" 'wasm-unsafe-eval'", '') },
};

/** The pages run their own scripts: what a debugger evaluates would not be subject to the policy. */
const SHOW = `
const output = document.querySelector('output');
globalThis.show = (text) => output.append(text);
export const done = () => output.setAttribute('data-done', '');
`;
const CALL = `
import { done } from './show.js';
import './page.js';
const [name, args] = JSON.parse(decodeURIComponent(location.hash.slice(1)));
show(await functions[name](...args).catch(String));
done();
`;
const RUN = `
import { done } from './show.js';
await import('./program.js').catch((error) => show(String(error)));
done();
`;

const QUESTION = askPrompt('What is the capital of Japan?');

/** README's section "In a browser": its program, and what the model runs on with its headers and without each. */
(existsSync(CHROMIUM) ? describe : describe.skip)(`README in ${CHROMIUM} (set CHROMIUM for another)`, () => {
  let folder: string;
  let server: Server;
  let browser: Browser;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-readme-'));
    const program = blocksOf(read('README.md')).find(({ text }) => text.includes('emergent-semantics/accel'))!.text;
    await writeFile(join(folder, 'program.ts'), program);
    await build({
      entryPoints: [join(folder, 'program.ts'), fileURLToPath(new URL('page.ts', import.meta.url))],
      entryNames: '[name]',
      outdir: folder,
      alias: { 'emergent-semantics/accel': join(ROOT, 'src/browser.ts') },
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'browser',
    });
    for (const [name, text] of Object.entries({ 'show.js': SHOW, 'call.js': CALL, 'run.js': RUN })) {
      await writeFile(join(folder, name), text);
    }
    const page = (script: string) => `<!doctype html><output></output><script type="module" src="${script}"></script>`;
    await writeFile(join(folder, 'index.html'), page('call.js'));
    await writeFile(join(folder, 'readme.html'), page('run.js'));
    const models = { demo: join(ROOT, 'models/demo'), models: join(ROOT, 'models') };
    server = await serve({ ...models, ...Object.fromEntries(Object.keys(PAGES).map((name) => [name, folder])) }, PAGES);
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  });
  after(async () => {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens a page and reads what it says when it is done. */
  async function outputOf(path: string): Promise<string> {
    const page = await browser.newPage();
    try {
      await page.goto(`${server.url}/${path}`);
      return (await page.locator('output[data-done]').textContent()) ?? '';
    } finally {
      await page.close();
    }
  }

  /** Has a page call one of its functions; an error becomes its message. */
  function call<Name extends keyof PageFunctions>(
    place: string,
    name: Name,
    ...args: Parameters<PageFunctions[Name]>
  ): Promise<string> {
    return outputOf(`${place}/index.html#${encodeURIComponent(JSON.stringify([name, args]))}`);
  }

  it('has headers', () => {
    assert.deepEqual(Object.keys(HEADERS).sort(), [CSP, 'cross-origin-embedder-policy', 'cross-origin-opener-policy']);
    assert.equal(Object.keys(ISOLATION).length, 2);
    assert.equal(new Set(Object.values(PAGES).map((headers) => JSON.stringify(headers))).size, 5);
  });

  it('has a program that answers, with its headers', async () => {
    assert.equal(await outputOf('all/readme.html'), ' Tokyo');
  });

  it('with all headers simd runs on several threads', async () => {
    assert.match(await call('all', 'simdAdapter'), /^WebAssembly relaxed SIMD, \d+ threads$/);
    assert.equal(await call('all', 'ask', 'simd', QUESTION), ' Tokyo');
  });

  it('without isolation simd runs on one thread', async () => {
    assert.equal(await call('shared', 'simdAdapter'), 'WebAssembly relaxed SIMD, 1 thread');
    assert.equal(await call('shared', 'ask', 'simd', QUESTION), ' Tokyo');
  });

  it('without worker-src simd runs on one thread, and says why', async () => {
    assert.match(await call('threadless', 'simdAdapter'), /1 thread.*Content-Security-Policy/);
    assert.equal(await call('threadless', 'ask', 'simd', QUESTION), ' Tokyo');
  });

  it("without 'wasm-unsafe-eval' simd says why, and auto takes the reference", async () => {
    assert.match(await call('wasmless', 'ask', 'simd', QUESTION), /^DeviceError: simd: .*Content.Security.Policy/);
    assert.equal(await call('wasmless', 'ask', 'auto', QUESTION), ' Tokyo');
    assert.equal(await call('wasmless', 'resolve', 'auto'), 'reference');
  });

  for (const backend of ['gpu:webgpu', 'gpu:webgl2']) {
    it(`${backend} needs none of this`, async () => {
      assert.equal(await call('strict', 'ask', backend, QUESTION), ' Tokyo');
    });
  }
});
