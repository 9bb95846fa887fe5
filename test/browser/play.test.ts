import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import countries from 'world-countries';
import type { Locator, Page } from 'playwright-core';
import { forward } from '../../reference/model.js';
import { rows, type Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { floatModel } from '../../src/checkpoint/assemble.js';
import { askPrompt } from '../../src/languageModel.js';
import { nearest, positions } from '../../src/lens.js';
import { load } from '../../src/load.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { verify } from '../../src/verify/verify.js';
import { ROOT } from '../docs/documents.js';
import { fixture } from '../support/golden.js';
import { assertManners, describePlayground } from './playground.js';
import { serve } from './server.js';

const QUESTION = 'What is the capital of Japan?';

/** One address of each view. */
const VIEWS = {
  ask: '#view=ask',
  walk: '#view=walk&op=attn&layer=2&token=18&column=11',
  weights: '#view=walk&op=attn_weights&layer=2&head=3',
  lens: '#view=lens&layer=3&token=18',
  change: '#view=change&swap=11,13&patch=layers.2.attn[:, head 3]=0',
  trust: '#view=trust',
  code: '#view=code&layer=3&token=1',
  attention: '#view=attention&layer=2&head=3&token=16',
  emergence: '#view=emergence&depth=4&country=Kenya',
};

describePlayground('the playground', (playground) => {
  const { open } = playground;

  function answer(page: Page): Promise<string | null> {
    return page.locator('[data-answer]').getAttribute('data-answer');
  }

  async function attributes(locator: Locator, name: string): Promise<(string | null)[]> {
    return Promise.all((await locator.all()).map((item) => item.getAttribute(name)));
  }

  /** Waits for the numbers of a view. */
  async function settled(page: Page): Promise<void> {
    await page
      .locator('[data-answer], .walk [data-source], .lens table, [data-changed] .positions, [data-done]')
      .or(page.locator('[data-near], .links, .shares'))
      .first()
      .waitFor();
  }

  it('has a policy without unsafe-eval, unsafe-inline and other hosts', async () => {
    const policy = (await fetch(playground.url)).headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'self'; script-src 'self' 'wasm-unsafe-eval';/);
    assert.match(policy, /connect-src 'self' https:;/); // for a model that the reader names
    assert.doesNotMatch(policy.replace(/connect-src [^;]*/, ''), /unsafe-inline|'unsafe-eval'|https?:|\*/);
    for (const path of ['..%2fpackage.json', '%2e%2e/package.json', 'models/demo/..%2f..%2f..%2fpackage.json', '%00']) {
      assert.equal((await fetch(playground.url + path)).status, 404, path);
    }
  });

  it('answers the question of the demo', async () => {
    const page = await open('');
    assert.equal(await answer(page), ' Tokyo');
    assert.equal(await page.evaluate('crossOriginIsolated'), true);
    assert.match((await page.locator('.whole').textContent()) ?? '', /tokens a second, on simd/);
  });

  it('goes on from a rival, and a copied link does the same', async () => {
    const page = await open(VIEWS.ask);
    assert.equal(await answer(page), ' Tokyo');
    await page.locator('.rivals li a').nth(1).click();
    await page.locator('[data-answer=" Tokyo"]').waitFor({ state: 'detached' });
    await page.locator('[data-answer]').waitFor();
    const changed = await answer(page);
    assert.notEqual(changed, ' Tokyo');
    const copy = await open(new URL(page.url()).hash);
    assert.equal(await answer(copy), changed);
    await page.goBack();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
  });

  it('samples as generate does: the same seed, the same answer', async () => {
    const demo = await load();
    let expected = '';
    for await (const piece of demo.generate(askPrompt(QUESTION), { temperature: 4, topK: 40, seed: 7 }))
      expected += piece;
    const page = await open('#view=ask&temperature=4&topK=40&seed=7');
    assert.equal(await answer(page), expected);
  });

  it('walks: the source as it is, the numbers of a trace in Node, and PyTorch’s', async () => {
    const demo = await load(undefined, { backend: 'reference' });
    const traced = new Map<string, Tensor>();
    const ids = demo.tokenizer.encode(askPrompt(QUESTION));
    const trace: Trace = (name, value) => {
      traced.set(name, value);
    };
    forward(ids, floatModel(demo.model), { attnWeights: true, trace });
    const golden = await readGolden(fixture('demo/activations/truth.safetensors'));

    // an element that the golden file holds
    const row = 11;
    const { step, data: truth } = golden.tensors.get('layers.1.attn_norm')!;
    const column = Array.from({ length: 192 }, (_, c) => c).find((c) => c > 30 && (row * 192 + c) % step === 0)!;
    const page = await open(`#view=walk&op=attn_norm&layer=1&token=${row}&column=${column}`);
    const source = readFileSync(join(ROOT, 'reference/layerNorm.ts'), 'utf8');
    await page.getByRole('button', { name: /Show all/ }).click();
    // the numbers of the lines are hidden from what is copied and read
    const shown = await page.evaluate(`(() => {
      const copy = document.querySelector('[data-source="layerNorm"]').cloneNode(true);
      for (const number of copy.querySelectorAll('.number')) number.remove();
      return copy.textContent;
    })()`);
    assert.equal(shown, source);

    for (const name of ['layers.0.resid', 'layers.1.attn_norm']) {
      const map = page.locator(`[data-activation="${name}"]`);
      const value = Number(await map.locator('[data-value]').getAttribute('data-value'));
      assert.equal(value, traced.get(name)!.data[row * 192 + column], name);
    }
    const known = page.locator('[data-activation="layers.1.attn_norm"] [data-truth]');
    assert.equal(Number(await known.getAttribute('data-truth')), truth[(row * 192 + column) / step]);
  });

  it('walks by keyboard alone, and restores the place from the link', async () => {
    const page = await open('#view=walk&op=expanded', { viewport: { width: 1280, height: 900 } });
    await settled(page);
    await page.locator('.wide-only a', { hasText: 'attn_norm' }).focus();
    await page.keyboard.press('Enter');
    const map = page.locator('[data-activation="layers.0.attn_norm"] .canvas');
    await map.focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
    const place = '[data-activation="layers.0.attn_norm"] .place';
    await page.locator(place, { hasText: '[2, 1]' }).waitFor();
    const copy = await open(new URL(page.url()).hash);
    assert.match((await copy.locator(place).textContent()) ?? '', /\[2, 1\]/);
  });

  /** The likeliest tokens of the last row of logits, as the page's list of changes has them. */
  function likeliest({ data, shape: [T, V] }: Tensor, count: number): number[] {
    const row = [...data.subarray((T - 1) * V)];
    return [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, count);
  }

  async function movedTokens(page: Page, patch: string): Promise<(string | null)[]> {
    await page.locator(`[data-changed="${patch}"] .moves li`).first().waitFor();
    const items = await page.locator('.moves li').all();
    return Promise.all(items.slice(0, 6).map((item) => item.getAttribute('data-token')));
  }

  it('changes a pass: swapped codes are swapped tokens, a last state from elsewhere is its prediction', async () => {
    const demo = await load(undefined, { backend: 'reference' });
    const model = floatModel(demo.model);
    const texts = (logits: Tensor) => likeliest(logits, 6).map((id) => demo.tokenizer.decode([id]));
    const ids = demo.tokenizer.encode(askPrompt(QUESTION));
    const swapped = [...ids];
    [swapped[11], swapped[18]] = [ids[18], ids[11]];
    const page = await open('#view=change&swap=11,18');
    assert.deepEqual(await movedTokens(page, ''), texts(forward(swapped, model)));
    assert.notDeepEqual(texts(forward(swapped, model)), texts(forward(ids, model)));

    await page.getByRole('link', { name: 'Undo all' }).click();
    await page.locator('.effect', { hasText: 'Nothing is changed yet' }).waitFor();
    assert.deepEqual(await movedTokens(page, ''), texts(forward(ids, model)));
    await page.getByRole('link', { name: /last state after layer 3/ }).focus();
    await page.keyboard.press('Enter');
    const patch = 'layers.3.resid[-1]=other';
    const france = forward(demo.tokenizer.encode(askPrompt('What is the capital of France?')), model);
    assert.deepEqual(await movedTokens(page, patch), texts(france));
    const copy = await open(new URL(page.url()).hash);
    assert.deepEqual(await movedTokens(copy, patch), texts(france));
  });

  it('checks every backend against PyTorch, with the shares that verify finds', async () => {
    const page = await open(`${VIEWS.trust}&checked=reference`);
    await settled(page);
    for (const name of ['reference', 'simd', 'simd:1']) {
      assert.match((await page.locator(`[data-backend="${name}"] .verdict`).textContent()) ?? '', /^✓ 60 of 60/, name);
    }
    const absent = page.locator('[data-absent="gpu:webasm,gpu:webgl2,gpu:webgpu"]');
    assert.match((await absent.textContent()) ?? '', /Content-Security-Policy/);
    const demo = await load(undefined, { backend: 'reference' });
    const { rows } = await verify(demo.model, await readGolden(fixture('demo/activations/truth.safetensors')));
    for (const op of new Set(rows.map((row) => row.op))) {
      const expected = Math.max(...rows.filter((row) => row.op === op).map(({ share }) => share));
      assert.equal(Number(await page.locator(`[data-op="${op}"]`).getAttribute('data-share')), expected, op);
    }
  });

  it('shows the code of a token, and the neighbors that src/lens.ts finds', async () => {
    const demo = await load();
    const { embedding } = demo.model.weights;
    const [first, token] = demo.tokenizer.encode(askPrompt(QUESTION));
    const page = await open('#view=code&token=1&layer=3&column=35');
    await settled(page);
    const shown = await page.locator('.from-code [data-value]').getAttribute('data-value');
    assert.equal(Number(shown), rows(embedding, token, token + 1).data[Math.floor(35 / 16)]);

    // texts that stand for ids: each token alone, and behind the first one
    const ids = Array.from({ length: embedding.shape[0] }, (_, id) => String(id));
    const encode = (text: string): number[] =>
      text.startsWith('after ') ? [first, Number(text.slice('after '.length))] : [Number(text)];
    const places = await positions(demo.model, ids, encode, 'after {}');
    for (const [n, vectors] of [places[0], places[4]].entries()) {
      const list = page.locator('.two > section').nth(n).locator('[data-near]');
      const found = await attributes(list, 'data-near');
      const cosines = await attributes(list, 'data-cosine');
      const expected = nearest(vectors, ids, token).slice(0, 8);
      assert.deepEqual(
        found,
        expected.map(({ text }) => text),
      );
      for (const [i, { cosine }] of expected.entries()) assert.ok(Math.abs(Number(cosines[i]) - cosine) < 1e-4);
    }
  });

  it('shows the attention weights of a trace in Node, for the token that the keyboard chooses', async () => {
    const demo = await load(undefined, { backend: 'reference' });
    const traced = new Map<string, Tensor>();
    const trace: Trace = (name, value) => {
      traced.set(name, value);
    };
    forward(demo.tokenizer.encode(askPrompt(QUESTION)), floatModel(demo.model), { attnWeights: true, trace });
    const { data, shape } = traced.get('layers.2.attn_weights')!;
    const T = shape[1];
    const page = await open('#view=attention&layer=2&head=3&token=15');
    await page.locator('.takes').focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('.takes [aria-selected=true]:nth-child(17)').waitFor();
    const list = page.locator('[data-weight]');
    const positionsShown = await attributes(list, 'data-source-token');
    const weights = await attributes(list, 'data-weight');
    const shown = weights.map((weight, n) => [Number(positionsShown[n]), Number(weight)]);
    const row = [...data.subarray((3 * T + 16) * T, (3 * T + 17) * T).entries()];
    assert.deepEqual(shown, row.sort(([, a], [, b]) => b - a).slice(0, 8));
  });

  it('shows how many neighbors of a country share its continent, as src/lens.ts finds them', async () => {
    const demo = await load();
    const members = countries.filter(({ unMember, cca3 }) => unMember && cca3 !== 'VAT');
    const names = members.map(({ name }) => name.common);
    const regionOf = new Map(members.map(({ name, region }) => [name.common, region]));
    const places = await positions(demo.model, names, (text) => demo.tokenizer.encode(text));
    const lists = places.map((vectors) => names.map((_, i) => nearest(vectors, names, i).slice(0, 10)));
    const page = await open('#view=emergence&country=Japan');
    await page.locator('.shares li:last-child a').click();
    const shares = (await attributes(page.locator('[data-share]'), 'data-share')).map(Number);
    const expected = lists.map((near) => {
      const same = near.flatMap((list, i) => list.filter(({ text }) => regionOf.get(text) === regionOf.get(names[i])));
      return same.length / (10 * names.length);
    });
    // simd adds in another order with other threads: a tie may fall the other way
    shares.forEach((share, n) => assert.ok(Math.abs(share - expected[n]) < 0.002, `${share} for ${expected[n]}`));
    await page.locator('.depth output', { hasText: 'after layer 3' }).waitFor();
    const near = await page.locator('.near li').allTextContents();
    const ofJapan = lists[4][names.indexOf('Japan')].map(({ text }) => `${text} ${regionOf.get(text)!}`);
    assert.deepEqual(
      near.map((text) => text.trim()),
      ofJapan,
    );
    const copy = await open(new URL(page.url()).hash);
    await copy.locator('.depth output', { hasText: 'after layer 3' }).waitFor();
  });

  it('draws every head of block_size tokens, and prints how long the page was blocked', async () => {
    const page = await open('#view=attention');
    await settled(page);
    await page.evaluate(`new Promise((resolve) => {
      window.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
      }).observe({ type: 'longtask' });
      setTimeout(resolve, 200);
      location.hash = '#view=attention&raw=true&token=90&q=' + 'é'.repeat(128);
    })`);
    await page.locator('.takes li:nth-child(128)').waitFor();
    for (const key of ['ArrowDown', 'ArrowDown', 'Home', 'End']) {
      await page.locator('.takes').focus();
      await page.keyboard.press(key);
    }
    await page.waitForTimeout(300);
    const longest = await page.evaluate('window.longest');
    console.log(`      the longest task on the main thread took ${(longest as number).toFixed(0)} ms (goal: 50)`);
  });

  it('works in any folder of any static host, without isolation', async () => {
    const host = await serve({ open: join(ROOT, 'dist/play') });
    try {
      const page = await open('', {}, `${host.url}/open/index.html`);
      assert.equal(await answer(page), ' Tokyo');
      assert.equal(await page.evaluate('crossOriginIsolated'), false);
      assert.match((await page.locator('.whole').textContent()) ?? '', /on simd \(.*1 thread\)/);
    } finally {
      await host.close();
    }
  });

  it('says in words what is wrong', async () => {
    const page = await open(`#view=ask&q=${'word '.repeat(200)}`);
    assert.match((await page.locator('[role=alert]').textContent()) ?? '', /reads at most 128/);
    const patch = await open('#view=change&patch=layers.7.q=0');
    assert.match((await patch.locator('[role=alert]').textContent()) ?? '', /no activation "layers.7.q" to patch/);
    const odd = await open('#view=nothing&layer=-3&token=x&op=nonsense&topP=7');
    assert.match(
      (await odd.locator('[role=alert]').textContent()) ?? '',
      /top-p must be a number above 0 and at most 1/,
    );
  });

  for (const [name, hash] of Object.entries(VIEWS)) {
    it(`axe-core finds nothing, and 360 px do not scroll sideways: ${name}`, async () => {
      const page = await open(hash, { reducedMotion: 'reduce' });
      await settled(page);
      await assertManners(page);
    });
  }
});
