import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build as esbuild } from 'esbuild';
import { chromium } from 'playwright-core';
import { build as vite } from 'vite';
import webpack from 'webpack';
import { run } from '../support/cli.js';
import { fixture } from '../support/golden.js';
import { CHROMIUM, FLAGS } from './chromium.js';
import { serve, type Server } from './server.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The golden model that the bundles compute. */
const MODEL = 'tanh';

/** Compares every activation with PyTorch's: the name of the first that differs, and how many were compared. */
const ENTRY = `
import { urlFolder } from './dist/src/browser.js';
import { readSafetensors } from './dist/src/checkpoint/reader.js';
import { readModel } from './dist/src/checkpoint/readModel.js';
import { parseGolden } from './dist/src/verify/golden.js';
import { verify } from './dist/src/verify/verify.js';

globalThis.verifyGolden = async (url, backend) => {
  const folder = urlFolder(url);
  const { model } = await readModel(folder);
  const truth = await readSafetensors(await folder.open('truth.safetensors'));
  const { first, rows } = await verify(model, await parseGolden(truth), backend);
  return { first: first?.name ?? null, compared: rows.length };
};
`;

/** Bundlers that minify, each as it does so by default. They write main.js into the folder `out`. */
const BUNDLERS: Record<string, (entry: string, out: string) => Promise<unknown>> = {
  vite: (entry, out) => viteBuild(entry, out, 'oxc'),
  'vite with terser': (entry, out) => viteBuild(entry, out, 'terser'),
  webpack: webpackBuild,
  'esbuild --minify': (entry, outdir) =>
    esbuild({ entryPoints: { main: entry }, outdir, bundle: true, splitting: true, format: 'esm', minify: true }),
};

function viteBuild(entry: string, outDir: string, minify: 'oxc' | 'terser'): Promise<unknown> {
  return vite({
    configFile: false,
    logLevel: 'error',
    root: join(entry, '..'),
    base: './',
    build: {
      outDir,
      minify,
      modulePreload: false, // it would need a document, also where Node runs the bundle
      rolldownOptions: { input: { main: entry }, output: { entryFileNames: '[name].js' } },
    },
  });
}

async function webpackBuild(entry: string, path: string): Promise<void> {
  const compiler = webpack({
    mode: 'production',
    entry: { main: entry },
    output: { path, filename: '[name].js', module: true, chunkFormat: 'module' },
    experiments: { outputModule: true },
  });
  await new Promise<void>((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error) reject(error);
      else if (stats?.hasErrors()) reject(new Error(stats.toString('errors-only')));
      else resolve();
    });
  });
}

/** Runs verifyGolden of a bundle in a Node of its own. */
async function verifyInNode(bundle: string, url: string, backend: string): Promise<unknown> {
  const script = `
    await import(${JSON.stringify(pathToFileURL(bundle).href)});
    console.log(JSON.stringify(await verifyGolden(${JSON.stringify(url)}, ${JSON.stringify(backend)})));
    process.exit();
  `;
  const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script], '', root);
  assert.equal(code, 0, stderr.slice(-500)); // before that Node prints a line of the bundle
  return JSON.parse(stdout);
}

describe('bundles of the package', () => {
  let folder: string;
  let server: Server;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-bundlers-'));
    const dist = join(folder, 'dist');
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'entry.js'), ENTRY);
    for (const args of [
      ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', dist],
      ['accel/gpu/kernelText.mjs', dist],
    ]) {
      const { code, stdout, stderr } = await run(process.execPath, args, '', root);
      assert.equal(code, 0, stdout + stderr);
    }
    server = await serve({ bundles: folder, golden: fixture('models') });
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [name, bundle] of Object.entries(BUNDLERS)) {
    describe(name, () => {
      const place = name.replace(/\W+/g, '-');
      const expected = { first: null, compared: 32 };
      before(() => bundle(join(folder, 'entry.js'), join(folder, place)));

      for (const backend of ['gpu:webasm', 'gpu:cpu']) {
        it(`computes the golden model on ${backend}`, async () => {
          const result = await verifyInNode(join(folder, place, 'main.js'), `${server.url}/golden/${MODEL}/`, backend);
          assert.deepEqual(result, expected);
        });
      }

      (existsSync(CHROMIUM) ? it : it.skip)(`computes it on webgpu and webgl2 in ${CHROMIUM}`, async () => {
        await writeFile(
          join(folder, place, 'index.html'),
          '<!doctype html><script type="module" src="main.js"></script>',
        );
        const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
        try {
          const page = await browser.newPage();
          await page.goto(`${server.url}/bundles/${place}/index.html`);
          for (const backend of ['gpu:webgpu', 'gpu:webgl2']) {
            const call = `verifyGolden('/golden/${MODEL}/', '${backend}')`;
            assert.deepEqual(await page.evaluate(call), expected, backend);
          }
        } finally {
          await browser.close();
        }
      });
    });
  }
});
