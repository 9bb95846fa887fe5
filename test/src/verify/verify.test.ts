import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as Reference from '../../../reference/index.js';
import type { Session } from '../../../src/backend.js';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { activationNames } from '../../../reference/lib/trace.js';
import { explain } from '../../../src/verify/explain.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { activationGraph } from '../../../src/verify/graph.js';
import { renderHtml } from '../../../src/verify/html.js';
import { summarize } from '../../../src/verify/report.js';
import { BOUNDS, boundOf } from '../../../src/verify/tolerance.js';
import { verify, type VerifyReport } from '../../../src/verify/verify.js';
import type { Model } from '../../../reference/lib/weights.js';
import { TINY } from '../../support/arbitraries.js';
import { stubSession } from '../../support/stubSession.js';
import { fixture, manifest, readTruth } from '../../support/golden.js';
import { compare } from '../../../src/verify/compare.js';

const TRACED = Object.entries(manifest.models)
  .filter(([, { activations }]) => activations === 'all')
  .map(([name]) => name);

async function open(name: string) {
  const { model } = await loadModel(fixture(`models/${name}`));
  return { model, golden: await readGolden(fixture(`models/${name}/truth.safetensors`)) };
}

/** A session on a forward pass that may be wrong. */
function sessionOn(forward: typeof Reference.forward, model: Model): Session {
  return stubSession((ids, options) => Promise.resolve(forward(ids, model, options)), true);
}

describe('verify', () => {
  for (const name of Object.keys(manifest.models)) {
    it(`agrees with PyTorch on ${name}`, async () => {
      const { model, golden } = await open(name);
      const report = await verify(model, golden);
      assert.equal(report.rows.length, golden.tensors.size, 'every activation of the file is compared');
      assert.equal(report.first, null, summarize(report, null));
    });
  }

  it('knows the inputs of every activation', () => {
    for (const normPosition of ['pre', 'post'] as const) {
      const config = { ...TINY, normPosition };
      for (const attnWeights of [false, true]) {
        const graph = activationGraph(config, true, attnWeights);
        assert.deepEqual(
          graph.map(({ name }) => name),
          activationNames(config, true, attnWeights),
        );
        graph.forEach(({ name, inputs }, i) => {
          const before = graph.slice(0, i).map((node) => node.name);
          for (const input of inputs) assert.ok(before.includes(input), `${name} needs ${input}`);
        });
      }
    }
  });

  it('has bounds of two to eight times the largest error seen', async () => {
    const seen: Record<string, { reference: number; float32: number }> = {};
    for (const name of TRACED) {
      const { model, golden } = await open(name);
      const float32 = await readTruth(`models/${name}/float32.safetensors`);
      const nodes = new Map(activationGraph(model.config, true, true).map((node) => [node.name, node]));
      for (const row of (await verify(model, golden)).rows) {
        const worst = (seen[row.op] ??= { reference: 0, float32: 0 });
        const node = nodes.get(row.name)!;
        const pytorch = compare(float32.get(row.name)!, golden.tensors.get(row.name)!.data);
        worst.reference = Math.max(worst.reference, row.difference!.relativeMax / (1 + node.layer));
        worst.float32 = Math.max(worst.float32, pytorch.relativeMax / (1 + node.layer));
      }
    }
    for (const [op, worst] of Object.entries(seen)) {
      for (const column of ['reference', 'float32'] as const) {
        const bound = BOUNDS[op][column];
        const text = `${op} ${column}: seen ${worst[column]}, recorded ${BOUNDS[op].seen[column]}, bound ${bound}`;
        if (bound === 0) assert.equal(worst[column], 0, text);
        else {
          assert.ok(worst[column] <= BOUNDS[op].seen[column] * 1.05, text);
          assert.ok(bound >= 2 * worst[column] && bound <= 8 * worst[column], text);
        }
      }
    }
    assert.deepEqual(Object.keys(seen).sort(), Object.keys(BOUNDS).sort());
    assert.equal(boundOf({ name: '', op: 'linear', inputs: [], layer: 3 }, 'float32'), 4 * BOUNDS.linear.float32);
  });

  describe('catches planted bugs', () => {
    /** Copies of the sources, beside the originals so that they find their packages. */
    const copies = fileURLToPath(new URL('../../../.mutants/', import.meta.url));
    before(() => rm(copies, { recursive: true, force: true }));
    after(() => rm(copies, { recursive: true, force: true }));

    /** The forward pass of a copy in which one piece of one file was replaced. */
    async function planted(n: number, file: string, from: string, to: string): Promise<typeof Reference.forward> {
      const root = join(copies, String(n));
      await mkdir(root, { recursive: true });
      for (const folder of ['reference', 'src']) {
        await cp(fileURLToPath(new URL(`../../../${folder}/`, import.meta.url)), join(root, folder), {
          recursive: true,
        });
      }
      const source = await readFile(join(root, file), 'utf8');
      assert.ok(source.includes(from), `${file} no longer holds ${from}`);
      await writeFile(join(root, file), source.replace(from, to));
      const module = (await import(pathToFileURL(join(root, 'reference/index.ts')).href)) as typeof Reference;
      return module.forward;
    }

    const BF16 = '(v) => { const w = new Float32Array([v]); new Uint32Array(w.buffer)[0] &= 0xffff0000; return w[0]; }';
    const bugs: [what: string, model: string, file: string, from: string, to: string, first: string, op: string][] = [
      [
        'the wrong rotary pairing',
        'model_64_float',
        'reference/rope.ts',
        "'half' ? 1 : 2; // from one pair to the next\n  const partner = pairing === 'half' ? half : 1;",
        "'half' ? 2 : 1;\n  const partner = pairing === 'half' ? 1 : half;",
        'layers.0.q_rot',
        'rope',
      ],
      [
        'rotation the other way',
        'interleaved',
        'reference/rope.ts',
        'Math.sin(angle)',
        '-Math.sin(angle)',
        'layers.0.q_rot',
        'rope',
      ],
      [
        'positions off by one',
        'tanh',
        'reference/rope.ts',
        '(start + t) *',
        '(start + t + 1) *',
        'layers.0.q_rot',
        'rope',
      ],
      ['tanh for erf', 'model_64_float', 'reference/gelu.ts', "=== 'tanh'", "!== 'tanh'", 'layers.0.ffn_act', 'gelu'],
      ['erf for tanh', 'tanh', 'reference/gelu.ts', "=== 'tanh'", "!== 'tanh'", 'layers.0.ffn_act', 'gelu'],
      [
        'no scale',
        'model_64_float',
        'reference/attention.ts',
        ' / Math.sqrt(D)',
        '',
        'layers.0.attn_weights',
        'softmax',
      ],
      [
        'eps of 1e-6',
        'model_64_float',
        'reference/layerNorm.ts',
        'variance + eps',
        'variance + 1e-6',
        'layers.0.attn_norm',
        'layerNorm',
      ],
      ['post for pre', 'model_64_float', 'reference/block.ts', "=== 'pre'", "!== 'pre'", 'layers.0.q', 'linear'],
      ['pre for post', 'post_norm', 'reference/block.ts', "=== 'pre'", "!== 'pre'", 'layers.0.attn_norm', 'layerNorm'],
      [
        'a mask off by one',
        'model_64_float',
        'reference/attention.ts',
        'S - T + t + 1;',
        'Math.min(S, S - T + t + 2);',
        'layers.0.attn_weights',
        'softmax',
      ],
      [
        'a mask that hides the token itself',
        'tanh',
        'reference/attention.ts',
        'S - T + t + 1;',
        'Math.max(1, S - T + t);',
        'layers.0.attn_weights',
        'softmax',
      ],
      [
        'one head shifted',
        'interleaved',
        'reference/attention.ts',
        'v.data[s * C + h * D + d]',
        'v.data[s * C + ((h + 1) % H) * D + d]',
        'layers.0.attn',
        'attention',
      ],
      [
        'a bias dropped in the feed-forward',
        'model_64_float',
        'reference/feedForward.ts',
        'linear(x, up)',
        'linear(x, { ...up, bias: null })',
        'layers.0.ffn_up',
        'linear',
      ],
      [
        'a bias dropped in a norm',
        'post_norm',
        'reference/layerNorm.ts',
        '(bias ? bias.data[c] : 0)',
        '0',
        'layers.0.attn_norm',
        'layerNorm',
      ],
      [
        'a bias dropped in the head',
        'tanh',
        'reference/lmHead.ts',
        'linear(x, head)',
        'linear(x, { ...head, bias: null })',
        'logits',
        'lmHead',
      ],
      [
        'rounding to bfloat16 left in',
        'outliers',
        'reference/linear.ts',
        'return y;',
        `return { ...y, data: y.data.map(${BF16}) };`,
        'layers.0.q',
        'linear',
      ],
      [
        'rounding to bfloat16 in the residual sum',
        'model_64_float',
        'reference/add.ts',
        'value + b.data[i])',
        `value + b.data[i]).map(${BF16})`,
        'layers.0.resid_mid',
        'add',
      ],
      [
        'tiling for interleaving',
        'model_64_float',
        'reference/repeatInterleave.ts',
        'Math.floor(i / repeats)',
        '(Math.floor(i / (E * repeats)) * E + (i % E))',
        'expanded',
        'repeatInterleave',
      ],
      [
        'the norm of the wrong place',
        'interleaved',
        'reference/block.ts',
        "norm('ffn_norm', weights.ffnNorm, middle)",
        "norm('ffn_norm', weights.attnNorm, middle)",
        'layers.0.ffn_norm',
        'layerNorm',
      ],
      [
        'no final norm',
        'model_64_float',
        'reference/model.ts',
        'layerNorm(x, weights.finalNorm, config.layerNormEps)); // [T, C]',
        'x);',
        'final_norm',
        'layerNorm',
      ],
      [
        'a sum in float16 steps',
        'tanh',
        'reference/linear.ts',
        'sum1 += value * w[w1 + k]',
        'sum1 = Math.round((sum1 + value * w[w1 + k]) * 65536) / 65536',
        'layers.0.q',
        'linear',
      ],
      [
        'NaN',
        'tanh',
        'reference/softmax.ts',
        'scores[i] - maximum',
        'scores[i] - (scores[i] === maximum ? Infinity : maximum) * 2',
        'layers.0.attn_weights',
        'softmax',
      ],
    ];

    bugs.forEach(([what, name, file, from, to, first, op], n) => {
      it(`${what}: first at ${first}, born in ${op}`, async () => {
        const { model, golden } = await open(name);
        const forward = await planted(n, file, from, to);
        const report: VerifyReport = await verify(model, golden, 'reference', (it) =>
          Promise.resolve(sessionOn(forward, it)),
        );
        assert.ok(report.first, 'not caught');
        assert.deepEqual([report.first.name, report.first.op, report.first.origin], [first, op, 'born here']);
        assert.match(renderHtml(report, null), /<svg/);
      });
    });
  });

  it('says that attention weights were not compared on a backend that cannot trace them', async () => {
    const { model, golden } = await open('tanh');
    const names = activationNames(model.config, true, true);
    const attnNames = names.filter((name) => name.endsWith('.attn_weights'));
    assert.equal(attnNames.length, model.config.nLayer);
    const report = await verify(model, golden, 'simd');
    assert.deepEqual(
      report.rows.map(({ name }) => name),
      names.filter((name) => !attnNames.includes(name)),
    );
    assert.deepEqual(report.notCompared, attnNames);
    assert.match(summarize(report, null), /^not compared: 2 attn_weights, which simd cannot trace [^\n]*\nOK: all 32 /);
    assert.deepEqual((await verify(model, golden)).notCompared, []);

    for (const name of names) if (!attnNames.includes(name)) golden.tensors.delete(name);
    await assert.rejects(verify(model, golden, 'simd'), /holds only attention weights, which simd cannot trace/);
    assert.equal((await verify(model, golden)).rows.length, 2);
  });

  it('tells what was born from what was handed down', async () => {
    const { model, golden } = await open('model_64_float');
    const wrong = { ...model, config: { ...model.config, geluApproximate: 'tanh' as const } };
    const { rows } = await verify(wrong, golden);
    const origins = Object.fromEntries(rows.map(({ name, origin }) => [name, origin]));
    assert.equal(origins['layers.0.ffn_up'], null);
    assert.equal(origins['layers.0.ffn_act'], 'born here');
    assert.deepEqual(origins['layers.0.ffn_out'], { handedDownBy: 'layers.0.ffn_act' });
    golden.tensors.delete('layers.0.ffn_act');
    const { first } = await verify(wrong, golden);
    assert.deepEqual([first!.name, first!.origin], ['layers.0.ffn_out', { bornHereOrIn: ['layers.0.ffn_act'] }]);
  });

  it('explains a difference by the one convention that was wrong', async () => {
    const wrong: [string, Partial<Model['config']>, Partial<Model['config']>][] = [
      ['model_64_float', { ropePairing: 'interleaved' }, { ropePairing: 'half' }],
      ['interleaved', { ropePairing: 'half' }, { ropePairing: 'interleaved' }],
      ['tanh', { geluApproximate: 'none' }, { geluApproximate: 'tanh' }],
      ['post_norm', { normPosition: 'pre' }, { normPosition: 'post' }],
      ['model_64_float', { layerNormEps: 1e-6 }, { layerNormEps: 1e-5 }],
      ['tanh', { ropeTheta: 500 }, { ropeTheta: 10000 }],
    ];
    for (const [name, change, expected] of wrong) {
      const { model, golden } = await open(name);
      const mistaken = { ...model, config: { ...model.config, ...change } };
      const report = await verify(mistaken, golden);
      assert.ok(report.first);
      const explanation = await explain(mistaken, golden, 'reference');
      assert.deepEqual(
        explanation?.causes.map(({ answers }) => answers.map(({ change }) => change)),
        [[expected]],
      );
      assert.match(summarize(report, explanation), /explained: with \w+: \S+ everything agrees/);
    }
    const { model, golden } = await open('tanh');
    const broken = { ...model, weights: { ...model.weights, finalNorm: model.weights.blocks[0].attnNorm } };
    assert.equal(await explain(broken, golden, 'reference'), null);
  });
});
