import assert from 'node:assert/strict';
import { openBackend, type Backend } from '../../src/backend.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { generateIds } from '../../src/generate.js';
import type { LanguageModel } from '../../src/languageModel.js';
import { load } from '../../src/load.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { verify } from '../../src/verify/verify.js';
import type { Model } from '../../reference/lib/weights.js';
import { fixture, manifest, printTable, readFixture, readTruth } from '../support/golden.js';

const worst = new Map<string, number>();
const backends = new Set<string>();

/** Checks every golden model and the demo on a backend against PyTorch. */
export function modelTests(backend: string): void {
  goldenTests(backend);
  demoTests(backend);
}

async function passes(model: Model, truth: string, backend: string): Promise<void> {
  const { first, rows } = await verify(model, await readGolden(fixture(truth)), backend);
  assert.equal(first, null, `${first?.name ?? ''} is off by ${first?.share ?? 0} times its bound`);
  for (const { op, share } of rows) {
    worst.set(`${op} ${backend}`, Math.max(worst.get(`${op} ${backend}`) ?? 0, share));
  }
}

/** Checks every golden model on a backend. */
export function goldenTests(backend: string): void {
  before(() => backends.add(backend));

  for (const [name, { about }] of Object.entries(manifest.models)) {
    it(`${name}: ${about}`, async () => {
      const { model } = await loadModel(fixture(`models/${name}`));
      await passes(model, `models/${name}/truth.safetensors`, backend);
    });
  }
}

/** Checks the demo on a backend: activations, logits and the tokens that it chooses. */
export function demoTests(backend: string): void {
  describe('the demo', () => {
    before(() => backends.add(backend));
    const { prompts } = readFixture('demo/inputs.json') as { prompts: { tokens: number[] }[] };
    let demo: LanguageModel;
    let opened: Backend;
    before(async () => {
      demo = await load();
      opened = await openBackend(demo.model, backend);
    });
    after(() => opened.dispose());

    it('keeps every activation within its bound', () =>
      passes(demo.model, 'demo/activations/truth.safetensors', backend));

    it('keeps logits within 1e-4 of their rms', async () => {
      const truth = await readTruth('demo/truth.safetensors');
      const session = opened.openSession();
      for (const [n, { tokens }] of prompts.entries()) {
        session.reset();
        const { data } = await session.forward(tokens, { logits: n === 0 ? 'all' : 'last' });
        const expected = truth.get(`prompt${n}`)!;
        const rms = Math.sqrt(expected.reduce((sum, x) => sum + x * x, 0) / expected.length);
        expected.forEach((value, i) => assert.ok(Math.abs(data[i] - value) <= 1e-4 * rms, `prompt ${n}, ${i}`));
      }
      await session.dispose();
    });

    it('generates the same 40 greedy tokens as PyTorch', async () => {
      const greedy = readFixture('demo/greedy.json') as { tokens: number[] }[];
      const session = opened.openSession();
      for (const [n, { tokens }] of prompts.entries()) {
        const chosen: number[] = [];
        for await (const id of generateIds(session, demo.config, tokens, { maxNewTokens: 40 })) chosen.push(id);
        assert.deepEqual(chosen, greedy[n].tokens);
      }
      await session.dispose();
    });
  });
}

after(() => {
  if (backends.size === 0) return;
  const ops = [...new Set([...worst.keys()].map((key) => key.split(' ')[0]))];
  console.log('\n      largest distance from PyTorch float64 as a share of its bound (src/verify/tolerance.ts)');
  printTable([
    ['op', ...backends],
    ...ops.map((op) => [op, ...[...backends].map((backend) => (worst.get(`${op} ${backend}`) ?? 0).toFixed(2))]),
  ]);
});
