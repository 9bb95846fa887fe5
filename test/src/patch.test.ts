import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forward } from '../../reference/index.js';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import { activationNames, type Trace } from '../../reference/lib/trace.js';
import type { Model } from '../../reference/lib/weights.js';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { saveModel } from '../../src/checkpoint/saveModel.js';
import { logitLens } from '../../src/lens.js';
import { parsePatch, patchTrace, type Patch } from '../../src/patch.js';
import { tinyModel } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';
import { emergent } from '../support/cli.js';

const IDS = [3, 1, 2, 4];
const model = tinyModel();

/** A patch from its text, whose sources are the activations of a pass. */
function patchOf(text: string, source: ReadonlyMap<string, Tensor> = new Map()): Patch {
  const { value, ...place } = parsePatch(text);
  return { ...place, value: typeof value === 'number' ? value : source.get(place.name)! };
}

function activations(ids: readonly number[], patches: readonly Patch[] = [], of: Model = model): Map<string, Tensor> {
  const seen = new Map<string, Tensor>();
  const observe: Trace = (name, value) => {
    seen.set(name, value);
  };
  forward(ids, of, { trace: patchTrace(patches, of, ids.length, observe) });
  return seen;
}

describe('patches', () => {
  it('are parsed: slices as in Python, heads, numbers and sources', () => {
    const whole = { start: undefined, stop: undefined };
    assert.deepEqual(parsePatch('layers.1.attn[:, head 3]=0'), {
      ...{ name: 'layers.1.attn', value: 0, rows: whole, columns: { head: 3 } },
    });
    assert.deepEqual(parsePatch(' embedding = -.5e1 '), { name: 'embedding', value: -5 });
    assert.deepEqual(parsePatch('logits[-1]=a=b.safetensors'), {
      ...{ name: 'logits', value: 'a=b.safetensors', rows: { start: -1, stop: undefined } },
    });
    assert.deepEqual(parsePatch('q[2:5,-3:]=1'), {
      ...{ name: 'q', value: 1, rows: { start: 2, stop: 5 }, columns: { start: -3, stop: undefined } },
    });
  });

  for (const [text, message] of [
    ['', /^the patch "" must be NAME\[rows, columns\]=VALUE/],
    ['layers.0.q', /^the patch "layers.0.q" must be NAME/],
    ['logits[0]=', /must be NAME/],
    ['logits[0=1', /must be NAME/],
    ['logits[0,1,2]=1', /has more than rows and columns$/],
    ['logits[]=1', /"" is no index, slice \(2:5\) or "head N"$/],
    ['logits[0:4:2]=1', /"0:4:2" is no index/],
    ['logits[head 1]=1', /"head 1" is no index/],
    ['logits=1e39', /float32 has no number 1e39$/],
    ['layers.9.q=1', /^this model has no activation "layers.9.q" to patch/],
    ['layers.0.attn_weights=1', /^layers.0.attn_weights cannot be patched: patch attn instead$/],
    ['layers.0.q[4]=1', /^layers.0.q has 4 rows, and the slice 4:5 takes none of them or reaches beyond$/],
    ['layers.0.q[-5:]=1', /has 4 rows/],
    ['layers.0.q[2:2]=1', /has 4 rows, and the slice 2:2 takes none/],
    ['layers.0.q[:, 0:99]=1', /^layers.0.q has \d+ columns, and the slice 0:99/],
    ['layers.0.q[:, head 9]=1', /^layers.0.q has heads 0 to \d+, not 9$/],
    ['layers.0.resid[:, head 0]=1', /^layers.0.resid has no heads: q, k, v, q_rot, k_rot and attn have$/],
  ] as const) {
    it(`are refused in one line: ${text || '(empty)'}`, () => {
      assert.throws(() => patchTrace([patchOf(text)], model, IDS.length), { name: 'InputError', message });
    });
  }

  it('of every activation with itself change no bit, whole or in parts', () => {
    const plain = activations(IDS);
    for (const name of activationNames(model.config, true)) {
      const { shape } = plain.get(name)!;
      fc.assert(
        fc.property(fc.nat(shape[0] - 1), fc.nat(shape[1] - 1), (row, column) => {
          const patch = patchOf(`${name}[${row}:, :${column + 1}]=self`, plain);
          for (const [other, value] of activations(IDS, [patch])) assertSame(value, plain.get(other)!, other);
        }),
        { numRuns: 3 },
      );
    }
  });

  it('write their part and nothing else, and leave what a trace got before as it was', () => {
    const { nHead: H, dModel: C } = model.config;
    const plain = activations(IDS);
    const patched = activations(IDS, [patchOf(`layers.0.k[1:-1, head 1]=7`)]);
    const expected = plain.get('layers.0.k')!.data.map((x, i) => {
      const [t, c] = [Math.floor(i / C), i % C];
      return t >= 1 && t < IDS.length - 1 && Math.floor(c / (C / H)) === 1 ? 7 : x;
    });
    assertSame(patched.get('layers.0.k')!, tensor([IDS.length, C], expected));
    assert.notDeepEqual(patched.get('logits'), plain.get('logits'));
  });

  it('apply in their order', () => {
    const patches = ['layers.1.resid=5', 'layers.1.resid[0]=6'].map((text) => patchOf(text));
    const { data, shape } = activations(IDS, patches).get('layers.1.resid')!;
    assert.deepEqual([data[0], data[shape[1]]], [6, 5]);
  });

  it('zero a head as zeroing its columns of o_proj does, for every layer and head', () => {
    const { nHead: H, dModel: C, nLayer: L } = model.config;
    for (let layer = 0; layer < L; layer++) {
      for (let h = 0; h < H; h++) {
        const blocks = model.weights.blocks.map((block, n) => {
          if (n !== layer) return block;
          const { weight, bias } = block.oProj;
          const data = weight.data.map((w, i) => (Math.floor((i % C) / (C / H)) === h ? 0 : w));
          return { ...block, oProj: { weight: tensor(weight.shape, data), bias } };
        });
        const expected = forward(IDS, { ...model, weights: { ...model.weights, blocks } });
        const patch = patchOf(`layers.${layer}.attn[:, head ${h}]=0`);
        assertSame(activations(IDS, [patch]).get('logits')!, expected, `layer ${layer}, head ${h}`);
      }
    }
  });

  it('carry a state over from a prompt of another length: the last row is the last of each', () => {
    const other = activations([5, 0]);
    const last = `layers.${model.config.nLayer - 1}.resid[-1]=other`;
    const patched = activations(IDS, [patchOf(last, other)]);
    const row = ({ data, shape }: Tensor) => data.slice(-shape[1]);
    assert.deepEqual(row(patched.get('logits')!), row(other.get('logits')!));
    assert.throws(
      () => activations(IDS, [patchOf('layers.0.resid=other', other)]),
      /^InputError: the value for layers.0.resid has 2 rows there, but the patch needs 4$/,
    );
    assert.throws(
      () => activations(IDS, [{ name: 'layers.0.resid', value: tensor([4, 3]) }]),
      /has shape \[4, 3\], but it must have \d+ columns$/,
    );
  });

  it('reach the lens', async () => {
    const patches = [patchOf('layers.0.resid=0')];
    const lens = await logitLens(model, IDS, 'reference', patches);
    assert.equal(new Set(lens[0].map(({ id }) => id)).size, 1, 'a state of zeros predicts the same everywhere');
    assert.notDeepEqual(lens, await logitLens(model, IDS, 'reference'));
    await assert.rejects(
      logitLens(model, IDS, 'reference', [patchOf('logits=0')]),
      /the lens reads the states after each layer, so patching logits changes nothing/,
    );
  });

  describe('on the command line', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'emergent-'));
      await saveModel(join(folder, 'tiny'), model);
    });
    after(() => rm(folder, { recursive: true }));

    async function logits(path: string): Promise<Tensor> {
      const file = await openSafetensors(path);
      const value = await file.readFloat32('logits');
      await file.close();
      return value;
    }
    const on = (command: string, ...rest: string[]) =>
      emergent([command, '--model', join(folder, 'tiny'), '--tokens', IDS.join(), ...rest]);

    it('take numbers and the files of trace', async () => {
      const [trace, same, zero] = ['trace', 'same', 'zero'].map((name) => join(folder, `${name}.safetensors`));
      await on('trace', '--backend', 'reference', '--out', trace);
      const itself = ['--patch', `layers.1.v=${trace}`, '--patch', `layers.0.resid[-1]=${trace}`];
      assert.deepEqual((await on('logits', '--backend', 'reference', ...itself, '--out', same)).code, 0);
      assertSame(await logits(same), forward(IDS, model));

      const patch = ['--patch', 'layers.1.attn[:, head 0]=0'];
      assert.equal((await on('trace', '--backend', 'reference', ...patch, '--out', zero)).code, 0);
      assertSame(await logits(zero), activations(IDS, [patchOf(patch[1])]).get('logits')!);
    });

    it('are refused in one line, and nothing is written', async () => {
      const out = join(folder, 'none.safetensors');
      const refusals = [
        [['--backend', 'simd', '--patch', 'logits=0'], /^emergent: --patch needs --backend reference, but .* simd\n$/],
        [['--backend', 'reference', '--patch', 'logits'], /^emergent: the patch "logits" must be NAME.*\n$/],
        [
          ['--backend', 'reference', '--patch', `logits=${join(folder, 'tiny/model.safetensors')}`],
          /^emergent: .*model\.safetensors contains no tensor logits\n$/,
        ],
        [['--backend', 'reference', '--patch', 'logits=0', '--chunk', '2'], /'--patch|--chunk/],
      ] as const;
      const outcomes = await Promise.all(refusals.map(([args]) => on('logits', ...args, '--out', out)));
      outcomes.forEach(({ code, stderr }, n) => {
        assert.equal(code, 2, stderr);
        assert.match(stderr, refusals[n][1]);
        assert.equal(stderr.split('\n').length, 2, stderr);
      });
      await assert.rejects(openSafetensors(out));
    });
  });
});
