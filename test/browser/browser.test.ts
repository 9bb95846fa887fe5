import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { askPrompt } from '../../src/languageModel.js';
import { FakeHub } from '../support/hub.js';
import { filesOf } from '../support/hubSetup.js';
import { FUSED } from '../accel/gpu/fused.js';
import { PARITY } from '../accel/parity.js';
import { SEED } from '../support/setup.js';
import { fixture, manifest, printTable, readFixture } from '../support/golden.js';
import { CHROMIUM, FLAGS } from './chromium.js';
import type { PageFunctions } from './page.js';
import { serve, type Server } from './server.js';

/** `cpu` and `webasm` are the same program as in Node, where their ops are checked. */
const OF_THE_BROWSER = ['webgpu', 'webgl2', 'simd'] as const;
const GPU_JS = ['webgpu', 'webgl2', 'webasm', 'cpu'] as const;

type Call = <Name extends keyof PageFunctions>(
  name: Name,
  ...args: Parameters<PageFunctions[Name]>
) => Promise<Awaited<ReturnType<PageFunctions[Name]>>>;

/** Calls one of the page's functions there. */
async function callIn<Name extends keyof PageFunctions>(
  page: Page,
  name: Name,
  ...args: Parameters<PageFunctions[Name]>
): Promise<Awaited<ReturnType<PageFunctions[Name]>>> {
  return (await page.evaluate(
    ([called, values]) =>
      (globalThis as unknown as { functions: Record<string, (...args: unknown[]) => unknown> }).functions[called](
        ...values,
      ),
    [name as string, args as unknown[]] as const,
  )) as Awaited<ReturnType<PageFunctions[Name]>>;
}

const parity: string[][] = [['op', 'backend', 'largest error', 'its bound', 'share', 'compared']];
const worst = new Map<string, number>();

(existsSync(CHROMIUM) ? describe : describe.skip)(`in the browser ${CHROMIUM} (set CHROMIUM for another)`, () => {
  let folder: string;
  let server: Server;
  let browser: Browser;
  let page: Page;

  const inPage: Call = (name, ...args) => callIn(page, name, ...args);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-browser-'));
    await build({
      entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
      outdir: folder,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'browser',
      minify: true,
    });
    await writeFile(join(folder, 'index.html'), '<!doctype html><script type="module" src="page.js"></script>');
    server = await serve({
      page: folder,
      open: folder,
      demo: fileURLToPath(new URL('../../models/demo', import.meta.url)),
      golden: fixture(''),
    });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    page = await browser.newPage();
    page.on('pageerror', (error) => console.log(`      the page: ${error.message}`));
    await page.goto(`${server.url}/page/index.html`);
  });
  after(async () => {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('loads a model by URL and reports progress', async () => {
    const { reports, complete } = await inPage('progress');
    assert.ok(complete);
    assert.ok(reports > 10, `${reports} reports`);
  });

  it('says what is wrong with a URL', async () => {
    assert.match(await inPage('refusal', '/nothing/'), /tokenizer\.json does not exist/);
    assert.match(await inPage('refusal', 'http://127.0.0.1:1/'), /cannot be reached/);
    assert.match(await inPage('refusal', 'http://'), /is not a URL/);
  });

  describe('with a model of the Hub', () => {
    const hub = new FakeHub();
    const question = askPrompt('What is the capital of Japan?');
    const WEIGHTS = 'model.safetensors';
    let commit: string;
    before(async () => {
      await hub.open();
      const files = await filesOf(fileURLToPath(new URL('../../models/demo', import.meta.url)));
      commit = hub.commit('org/demo', files);
    });
    after(() => hub.close());
    afterEach(() => hub.reset());

    for (const place of ['files', 'cache'] as const) {
      it(`keeps it (${place}): left in the middle, gone on with, then without a network`, async () => {
        const url = await inPage('hubUrl', 'org/demo', place === 'files' ? 'main' : commit, hub.url);
        hub.fail(WEIGHTS, { dropAfter: 1_700_000, stall: true });
        await inPage('beginKept', url, place, 1_700_000);
        hub.reset();
        await page.reload();
        const whole = await inPage('kept', url, place, question);
        assert.equal(whole.said, ' Tokyo');
        assert.deepEqual(whole.downloaded, [WEIGHTS]);
        // It goes on with the parts that are whole; the page may have left while the last one was being stored.
        assert.match(String(hub.asked(WEIGHTS)[0].range), /^bytes=(500000|1000000|1500000)-$/);
        hub.fail('', { times: Infinity, status: 503 });
        hub.seen.length = 0;
        await page.reload();
        assert.deepEqual(await inPage('kept', url, place, question), { said: ' Tokyo', downloaded: [] });
        if (place === 'cache') assert.deepEqual(hub.seen, [], 'a commit is asked for again');
      });
    }

    it('load(hubUrl(id), { keep: true }) answers, online and then offline', async () => {
      const url = await inPage('hubUrl', 'org/demo@main', 'main', hub.url);
      assert.equal(await inPage('askKept', url, question), ' Tokyo');
      await hub.close();
      assert.equal(await inPage('askKept', url, question), ' Tokyo');
      await hub.open();
    });
  });

  it('simd takes several threads, with relaxed SIMD, on a page that is isolated', async () => {
    const adapter = await inPage('simdAdapter');
    console.log(`        simd runs on ${adapter}`);
    assert.match(adapter, /^WebAssembly relaxed SIMD, \d+ threads$/);
  });

  it('simd takes one thread on a page that is not', async () => {
    const other = await browser.newPage();
    await other.goto(`${server.url}/open/index.html`);
    const call: Call = (name, ...args) => callIn(other, name, ...args);
    assert.equal(await call('simdAdapter'), 'WebAssembly relaxed SIMD, 1 thread');
    assert.equal(await call('ask', 'simd', askPrompt('What is the capital of Japan?')), ' Tokyo');
    assert.equal(await call('ask', 'simd:4', askPrompt('What is the capital of Peru?')), ' Lima');
    await other.close();
  });

  for (const backend of GPU_JS) {
    it(`${backend} is there`, async () => {
      console.log(`        ${backend} runs on ${await inPage('adapter', backend)}`);
    });
  }

  for (const backend of [...GPU_JS.map((name) => `gpu:${name}`), 'simd']) {
    describe(backend, () => {
      it('chooses the 40 tokens that PyTorch and the reference choose', async () => {
        const { prompts } = readFixture('demo/inputs.json') as { prompts: { tokens: number[] }[] };
        const greedy = readFixture('demo/greedy.json') as { tokens: number[] }[];
        const inputs = prompts.map(({ tokens }) => tokens);
        const expected = greedy.map(({ tokens }) => tokens);
        assert.deepEqual(await inPage('generate', backend, inputs, 40), expected);
      });

      it('answers', async () => {
        assert.equal(await inPage('ask', backend, askPrompt('What is the capital of Japan?')), ' Tokyo');
      });
    });
  }

  it('answers with weights in fewer bits', async () => {
    for (const dtype of ['bf16', 'f16', 'int8', 'int4'] as const) {
      assert.equal(await inPage('ask', 'simd', askPrompt('What is the capital of Japan?'), dtype), ' Tokyo', dtype);
    }
  });

  it('gives an error, and no number, once webgl2 has lost its context', async () => {
    assert.match(await inPage('lostContext'), /^DeviceError: webgl2: the device was lost/);
  });

  it('the reference chooses the same tokens here', async () => {
    const { prompts } = readFixture('demo/inputs.json') as { prompts: { tokens: number[] }[] };
    const greedy = readFixture('demo/greedy.json') as { tokens: number[] }[];
    assert.deepEqual(await inPage('generate', 'reference', [prompts[0].tokens], 40), [greedy[0].tokens]);
  });

  for (const backend of OF_THE_BROWSER) {
    describe(`each op on ${backend} against its oracle`, () => {
      for (const op of Object.keys(PARITY)) {
        it(op, async () => {
          const { error, bound, share, compared, live } = await inPage('parity', backend, op, SEED);
          assert.equal(live, 0, 'tensors left behind');
          parity.push([
            ...[op, backend, error.toExponential(1), bound.toExponential(1), share.toFixed(2)],
            String(compared),
          ]);
        });
      }
    });

    if (backend === 'webgpu' || backend === 'webgl2') {
      describe(`the fused ops of one token on ${backend} against compositions of the reference`, () => {
        for (const op of Object.keys(FUSED) as (keyof typeof FUSED)[]) {
          it(op, async () => {
            const { compared, live } = await inPage('fused', backend, op, SEED);
            assert.ok(compared > 0);
            assert.equal(live, 0, 'tensors left behind');
          });
        }
      });
    }

    describe(`whole models on ${backend} against PyTorch float64`, () => {
      for (const [name, { about }] of Object.entries(manifest.models)) {
        it(`${name}: ${about}`, async () => {
          const { over, shares } = await inPage('verifyGolden', backend === 'simd' ? backend : `gpu:${backend}`, name);
          assert.equal(over, null);
          for (const [op, share] of shares) {
            const key = `${op} ${backend}`;
            worst.set(key, Math.max(worst.get(key) ?? 0, share));
          }
        });
      }
    });
  }
});

after(() => {
  if (parity.length === 1) return;
  console.log('');
  printTable(parity);
  const ops = [...new Set([...worst.keys()].map((key) => key.split(' ')[0]))];
  console.log('\n      largest distance from PyTorch float64 as a share of its bound (src/verify/tolerance.ts)');
  printTable([
    ['op', ...OF_THE_BROWSER],
    ...ops.map((op) => [op, ...OF_THE_BROWSER.map((it) => (worst.get(`${op} ${it}`) ?? 0).toFixed(2))]),
  ]);
});
