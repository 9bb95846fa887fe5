/**
 * Measures loading a model folder by URL in a headless Chromium: plainly, keeping it for the first time, and kept.
 *
 *     npm run bench:browser -- FOLDER [ROUNDS]
 */
import { createReadStream, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const [folder = fileURLToPath(new URL('../models/demo', import.meta.url)), rounds = '3'] = process.argv.slice(2);
const KINDS = ['plain', 'first visit', 'later visit'];

const pages = await mkdtemp(join(tmpdir(), 'emergent-bench-'));
const profile = join(pages, 'profile');
await build({
  stdin: {
    contents: `import { load } from '../src/browser.ts'; Object.assign(globalThis, { load });`,
    resolveDir: fileURLToPath(new URL('.', import.meta.url)),
  },
  outfile: join(pages, 'page.js'),
  bundle: true,
  format: 'esm',
  platform: 'browser',
});
await writeFile(join(pages, 'index.html'), '<!doctype html><script type="module" src="page.js"></script>');

const server = createServer(({ url = '/', method, headers }, response) => {
  const [, mount, name = ''] = url.split('/');
  const path = join(mount === 'model' ? folder : pages, name);
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isFile()) return response.writeHead(404).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Number(range[2]) : status.size - 1;
  response.writeHead(range ? 206 : 200, {
    'content-type': name.endsWith('.html')
      ? 'text/html'
      : name.endsWith('.js')
        ? 'text/javascript'
        : 'application/octet-stream',
    'content-length': end - start + 1,
    etag: `"${status.size}-${status.mtimeMs}"`,
    ...(range && { 'content-range': `bytes ${start}-${end}/${status.size}` }),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  if (method === 'HEAD') return response.end();
  return createReadStream(path, { start, end, highWaterMark: 2 ** 20 }).pipe(response);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const times: Record<string, number[]> = Object.fromEntries(KINDS.map((kind) => [kind, []]));
for (let round = 0; round < Number(rounds); round++) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking'],
  });
  for (const kind of KINDS) {
    const page = await context.newPage();
    await page.goto(`${url}/pages/index.html`);
    const seconds = await page.evaluate(`(async () => {
      const begun = performance.now();
      const model = await load('/model/', { backend: 'simd', keep: ${kind !== 'plain'} });
      const seconds = (performance.now() - begun) / 1000;
      await model.dispose();
      return seconds;
    })()`);
    times[kind].push(seconds as number);
    await page.close();
  }
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
for (const [kind, all] of Object.entries(times)) {
  const sorted = all.toSorted((a, b) => a - b);
  console.log(
    `${kind.padEnd(12)} ${sorted[sorted.length >> 1].toFixed(2)} s  (${all.map((it) => it.toFixed(2)).join(', ')})`,
  );
}
server.closeAllConnections();
server.close();
await rm(pages, { recursive: true, force: true });
