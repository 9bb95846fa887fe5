import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DTYPES } from '../../../reference/lib/compactTensor.js';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { tinyModel } from '../../support/arbitraries.js';
import { emergent } from '../../support/cli.js';

describe('command line', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    await saveModel(join(folder, 'tiny'), tinyModel());
  });
  after(() => rm(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);

  it('generate samples the same text again with the seed that it tells', async () => {
    const options = ['generate', '--temperature', '1.5', '--max-new-tokens', '20', 'Question:'];
    const first = await emergent(options);
    const seed = /seed (\d+)/.exec(first.stderr)![1];
    const again = await emergent([...options, '--seed', seed]);
    assert.equal(again.stdout, first.stdout);
  });

  it('build-tokenizer makes a folder that tokenize takes', async () => {
    const ngrams = path('ngrams.json');
    await writeFile(ngrams, JSON.stringify([{ lang: 'x', bigrams: [['Hi', 2]], trigrams: [['abc', 1]] }]));
    const options = ['--layout', 'compact', '--vocab-size', '256', '--ngrams', ngrams, '--out', path('small')];
    assert.equal((await emergent(['build-tokenizer', ...options])).code, 0);
    assert.equal((await emergent(['tokenize', '--json', '--model', path('small'), 'Hi!'])).stdout, '[161,33]\n');
  });

  it('takes a tensor map', async () => {
    const other = path('mapped');
    await mkdir(other);
    for (const name of await readdir(path('tiny'))) await copyFile(join(path('tiny'), name), join(other, name));
    const weights = join(other, 'model.safetensors');
    const bytes = await readFile(weights, 'latin1');
    await writeFile(weights, bytes.replace('"lm_head.bias"', '"odd_one.out_"'), 'latin1');
    const options = ['logits', '--model', other, '--tokens', '1', '--out', path('mapped.safetensors')];
    const refused = await emergent(options);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^emergent: [^\n]*odd_one\.out_ \[40\][^\n]*--tensor-map\n$/);
    await writeFile(path('map.json'), '{"odd_one.out_": "lm_head.bias"}');
    assert.equal((await emergent([...options, '--tensor-map', path('map.json')])).code, 0);
  });

  for (const dtype of DTYPES) {
    it(`logits writes the same ${dtype} file on simd in chunks of any size, on any number of threads`, async () => {
      const files: Buffer[] = [];
      const ids = Array.from({ length: 37 }, (_, i) => 32 + ((i * 19) % 90)).join();
      for (const threads of ['1', '2']) {
        for (const chunk of ['1', '2', '3', '5', '16', undefined]) {
          const out = path('logits.safetensors');
          const options = ['--backend', 'simd', '--threads', threads, '--dtype', dtype, '--tokens', ids, '--out', out];
          const { code, stderr } = await emergent(['logits', ...options, ...(chunk ? ['--chunk', chunk] : [])]);
          assert.equal(code, 0, stderr);
          files.push(await readFile(out));
        }
      }
      for (const file of files) assert.ok(file.equals(files[0]));
    });
  }

  it('trace writes what verify reads', async () => {
    const out = path('own.safetensors');
    await emergent(['trace', '--model', path('tiny'), '--tokens', '3,1,2', '--out', out]);
    const { code, stdout } = await emergent(['verify', '--model', path('tiny'), '--golden', out]);
    assert.equal(code, 0);
    assert.match(stdout, /agree with emergent-semantics, (simd|gpu:\w+) float32/);
  });

  it('perplexity, calibrate, logit-lens and neighbors look at texts', async () => {
    const text = path('text.txt');
    await writeFile(text, 'Question: What is the capital of Peru?\nAnswer: Lima</s>'.repeat(4));
    const { perplexity } = JSON.parse((await emergent(['perplexity', '--json', '--text', text])).stdout) as {
      perplexity: number;
    };
    assert.ok(perplexity > 1 && perplexity < 5, String(perplexity));
    const { stdout } = await emergent(['calibrate', '--text', text]);
    assert.match(
      stdout,
      /for config\.json: rope_pairing: half, norm_position: pre\nleft open: gelu_approximate, layer_norm_eps\n$/,
    );
    const lens = await emergent([
      'logit-lens',
      '--html',
      path('lens.html'),
      'Question: What is the capital of Peru?\nAnswer:',
    ]);
    assert.match(lens.stdout, /"er:" .*" Li?m?a?" \d+ %\n$/);
    assert.match(await readFile(path('lens.html'), 'utf8'), /<table>/);
    await writeFile(path('names.txt'), 'Peru\nChad\nCuba\nChile\n');
    const near = await emergent(['neighbors', 'Peru', '--among', path('names.txt'), '--html', path('near.html')]);
    assert.match(near.stdout, /^frozen table .*\nafter layer 1 [\s\S]*after layer 4 .*\n$/);
    assert.doesNotMatch(near.stdout, /Peru/);
    const british = await emergent(['neighbours', 'Peru', '--among', path('names.txt')]);
    assert.equal(british.stdout, near.stdout, 'the old name of the command');
    assert.match(await readFile(path('near.html'), 'utf8'), /Nearest neighbors of Peru/);
  });
});
