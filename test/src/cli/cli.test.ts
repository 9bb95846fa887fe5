import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forward } from '../../../reference/index.js';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { openSafetensors } from '../../../src/checkpoint/safetensors.js';
import { activationNames } from '../../../reference/lib/trace.js';
import { tinyModel } from '../../support/arbitraries.js';
import { assertSame } from '../../support/assertions.js';
import { emergent, emergentEach, type Outcome } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';

/** A path where nothing is: refused commands must not reach it. */
const NEW = join(tmpdir(), `emergent-new-${process.pid}`);

// The commands that are not here run in cli.slow.test.ts.
describe('command line', () => {
  let folder: string;
  const tiny = tinyModel();
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    await saveModel(join(folder, 'tiny'), tiny);
  });
  after(() => rm(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);

  it('ask answers on stdout, and on stderr says how fast', async () => {
    const { code, stdout, stderr } = await emergent(['ask', 'What is the capital of Japan?']);
    assert.deepEqual([code, stdout], [0, 'Tokyo\n']);
    assert.match(stderr, /^4 tokens, first after \d+ ms, then [\d.]+ tokens\/s \((simd|gpu:\w+)\)\n$/);
  });

  it('says when a prompt is longer than the model can read', async () => {
    const { stdout, stderr } = await emergent(['generate', '--max-new-tokens', '2', 'no '.repeat(300)]);
    assert.match(stderr, /^emergent: the prompt has \d{3} tokens; the model reads only the last 128\n2 tokens/);
    assert.ok(stdout.length > 0);
  });

  it('ask computes on as many threads as it is told', async () => {
    const { stderr } = await emergent(['ask', '--backend', 'simd', '--threads', '3', 'What is the capital of Japan?']);
    assert.match(stderr, /\(simd:3\)\n$/);
  });

  it('ask - reads the question from stdin', async () => {
    const { stdout } = await emergent(['ask', '-'], 'What is the capital of Kenya?\n');
    assert.equal(stdout, 'Nairobi\n');
  });

  it('ask --json prints one object', async () => {
    const { stdout, stderr } = await emergent(['ask', '--json', 'What is the currency of Japan?']);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(result.text, 'Japanese yen');
    assert.equal(result.prompt, 'Question: What is the currency of Japan?\nAnswer:');
    assert.match(String(result.backend), /^(simd|gpu:\w+)$/);
    assert.deepEqual([result.stop, stderr], ['eos', '']);
    assert.ok((result.tokens as number[]).length > 2);
  });

  it('generate drafts, and the text stays the same', async () => {
    const asked = ['generate', '--ignore-eos', '--max-new-tokens', '40', '--backend', 'simd', 'Question: What is the'];
    const { stdout } = await emergent(asked);
    const drafted = await emergent([...asked, '--draft', 'int8']);
    assert.equal(drafted.stdout, stdout);
    assert.match(drafted.stderr, /^emergent: draft: the weights in int8 take 2\.03 MB more\n/);
    assert.match(drafted.stderr, /, draft int8: \d+ of \d+ tokens kept\)\n$/);
    const { draft } = JSON.parse((await emergent([...asked, '--draft', 'lookup', '--json'])).stdout) as {
      draft: { how: string; drafted: number; kept: number };
    };
    assert.equal(draft.how, 'lookup');
    assert.ok(draft.kept <= draft.drafted);
  });

  it('generate prints the continuation as it is', async () => {
    const prompt = 'Question: What is the capital of Peru?\nAnswer:';
    assert.equal((await emergent(['generate', prompt])).stdout, ' Lima\n');
    assert.equal((await emergent(['generate', '-'], `${prompt}\n`)).stdout, ' Lima\n');
    const past = await emergent(['generate', '--ignore-eos', '--max-new-tokens', '12', prompt]);
    assert.match(past.stdout, /^ LimaQuestion:/);
  });

  it('logits writes F32 [T, V], without a tokenizer when tokens are given', async () => {
    const out = path('logits.safetensors');
    const { code, stdout } = await emergent([
      ...['logits', '--model', path('tiny'), '--tokens', '1,2,3', '--out', out, '--backend', 'reference'],
    ]);
    assert.deepEqual([code, stdout], [0, '']);
    const file = await openSafetensors(out);
    assert.deepEqual([...file.tensors.keys()], ['logits']);
    assertSame(await file.readFloat32('logits'), forward([1, 2, 3], tiny));
    await file.close();
  });

  it('trace writes every named activation', async () => {
    const out = path('trace.safetensors');
    await emergent(['trace', '--text', 'hello', '--out', out]);
    const file = await openSafetensors(out);
    const { model } = await loadModel(fixture('../../models/demo'));
    assert.deepEqual([...file.tensors.keys()], activationNames(model.config, true));
    await file.close();

    const request = ['trace', '--tokens', '1,2,3,4,5', '--attn-weights', '--out', out];
    await emergent([...request, '--backend', 'reference']);
    const withWeights = await openSafetensors(out);
    assert.deepEqual([...withWeights.tensors.keys()], activationNames(model.config, true, true));
    assert.deepEqual(withWeights.tensors.get('layers.0.attn_weights')!.shape, [6, 5, 5]);
    await withWeights.close();
    const refused = await emergent([...request, '--backend', 'simd']);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^emergent: only the backend reference can trace attention weights\n$/);
  });

  it('tokenize shows tokens or their ids', async () => {
    assert.equal((await emergent(['tokenize', 'Hi'])).stdout, ' 72  "H"\n105  "i"\n');
    assert.equal((await emergent(['tokenize', '--json', 'Hi'])).stdout, '[72,105]\n');
    assert.equal((await emergent(['tokenize', '--json', '-'], 'Hi\n')).stdout, '[72,105]\n');
    assert.equal((await emergent(['tokenize', '--json', ''])).stdout, '[]\n');
  });

  it('inspect shows the config, the parameters by part, the tensors and what was assumed', async () => {
    const { stdout } = await emergent(['inspect', '--model', fixture('models/n_embd')]);
    assert.match(stdout, /n_embed +8 +read as n_embd\n/);
    assert.match(stdout, /rope_pairing +half +assumed\n/);
    assert.match(stdout, /attention +2048 +\d+\.\d %\n/);
    assert.match(stdout, /lm_head\.weight +F32 +48 x 16\n/);
    assert.match(stdout, /rope_pairing: not in config\.json/);
    const { stdout: json } = await emergent(['inspect', '--json']);
    const report = JSON.parse(json) as { parameters: { total: number }; assumedKeys: string[] };
    assert.deepEqual([report.parameters.total, report.assumedKeys], [1986688, []]);
  });

  it('make-codes writes a table that says how it was made, and inspect describes tables', async () => {
    const out = path('codes.safetensors');
    const options = ['--vocab-size', '300', '--n-embed', '10', '--out', out];
    assert.equal((await emergent(['make-codes', '--kind', 'affine', '--seed', '5', ...options])).code, 0);
    const file = await openSafetensors(out);
    const { codes, ...metadata } = JSON.parse(file.metadata.emergent_codes) as Record<string, unknown>;
    assert.deepEqual(metadata, { kind: 'affine', seed: 5, version: 1 });
    assert.equal((codes as { matrix: string[] }).matrix.length, 10);
    assert.deepEqual(file.tensors.get('token_embeddings.weight')?.shape, [300, 10]);
    await file.close();
    const few = await emergent(['make-codes', '--kind', 'bit', '--n-embed', '12', '--out', out]);
    assert.equal(few.code, 2);
    assert.match(few.stderr, /^emergent: 12 bits make 2\^12 = 4096 different codes, fewer than the 65536 tokens;.*\n$/);
    const demo = await emergent(['inspect']);
    assert.match(
      demo.stdout,
      /\nTable: 1,024 x 12, floats; rows of length 1; rank 12; no duplicates\n {2}looks frozen/,
    );
    const affine = await emergent(['inspect', '--model', fixture('models/affine_code')]);
    assert.match(affine.stdout, /\nTable: none; affine codes are computed from token ids\n/);
  });

  it('verify says whether, where and why a model differs', async () => {
    const golden = fixture('models/tanh/truth.safetensors');
    const agrees = await emergent(['verify', '--model', fixture('models/tanh'), '--golden', golden]);
    assert.equal(agrees.code, 0);
    assert.match(agrees.stdout, /OK: all 32 activations of (simd|gpu:\w+) agree with PyTorch/);

    const wrong = path('wrong');
    await mkdir(wrong);
    await copyFile(join(fixture('models/tanh'), 'model.safetensors'), join(wrong, 'model.safetensors'));
    const config = await readFile(join(fixture('models/tanh'), 'config.json'), 'utf8');
    await writeFile(join(wrong, 'config.json'), config.replace('"tanh"', '"none"'));
    const html = path('report.html');
    const differs = await emergent(['verify', '--json', '--model', wrong, '--golden', golden, '--html', html]);
    assert.equal(differs.code, 1);
    const report = JSON.parse(differs.stdout) as { ok: boolean; first: { name: string }; explained: string };
    assert.deepEqual(
      [report.ok, report.first.name, report.explained],
      [false, 'layers.0.ffn_act', 'gelu_approximate: tanh'],
    );
    assert.match(await readFile(html, 'utf8'), /<svg[\s\S]*layers\.0\.ffn_act/);

    const other = await emergent(['verify', '--model', fixture('models/interleaved'), '--golden', golden]);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /^emergent: [^\n]*was made from other weights[^\n]*\n$/);
  });

  it('verify needs no golden file: it compares with the reference in float64', async () => {
    const request = ['verify', '--model', path('tiny'), '--backend', 'simd', '--against', 'reference'];
    const { code, stdout, stderr } = await emergent(request);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /OK: all \d+ activations of simd agree with emergent-semantics reference float64, 16 tokens; /,
    );
    assert.match(stderr, /^emergent: without --tokens or --text, the tokens are 0, 24, 9, [\d, ]+\n$/);

    const chosen = await emergent([...request, '--tokens', '1,2', '--json']);
    const report = JSON.parse(chosen.stdout) as { ok: boolean; golden: { tokens: number[]; precision: string } };
    assert.deepEqual([report.ok, report.golden.tokens, report.golden.precision], [true, [1, 2], 'float64']);
    assert.equal(chosen.stderr, '');
  });

  it('record writes a golden file that verify takes, and that fits no other weights', async () => {
    const out = path('golden.safetensors');
    const recorded = await emergent(['record', '--text', 'What is the capital of Japan?', '--out', out]);
    assert.match(recorded.stderr, /^wrote \d+ activations of \d+ tokens to [^\n]*golden\.safetensors\n$/);
    const file = await openSafetensors(out);
    const header = JSON.parse(file.metadata.emergent) as Record<string, unknown>;
    const dtypes = new Set([...file.tensors.values()].map(({ dtype }) => dtype));
    await file.close();
    assert.deepEqual([header.precision, header.producer], ['float64', 'emergent-semantics reference']);
    assert.deepEqual([...dtypes], ['F64']);

    const agrees = await emergent(['verify', '--golden', out, '--backend', 'simd']);
    assert.equal(agrees.code, 0);
    const other = await emergent(['verify', '--golden', out, '--model', path('tiny')]);
    assert.match(other.stderr, /^emergent: [^\n]*was made from other weights[^\n]*\n$/);
    const fewerBits = await emergent(['verify', '--golden', out, '--dtype', 'int8', '--backend', 'reference']);
    assert.equal(fewerBits.code, 1);
    assert.match(fewerBits.stdout, /first: layers\.0\.q \(linear\), caused by this op/);
  });

  const bad: [string[], RegExp][] = [
    [[], /Usage: emergent/],
    [['sing'], /^emergent: unknown command 'sing'\n$/],
    [['ask'], /^emergent: missing required argument 'question'\n$/],
    [['ask', '--loud', 'x'], /^emergent: unknown option '--loud'\n$/],
    [['ask', '--model', '/nope', 'x'], /^emergent: [^\n]*does not exist[^\n]*\n$/],
    [['ask', '--backend', 'toaster', 'x'], /^emergent: [^\n]*toaster[^\n]*reference[^\n]*\n$/],
    [
      ['ask', '--max-new-tokens', '-1', 'x'],
      /^emergent: option '--max-new-tokens <n>' argument '-1' is invalid\. It must be an integer of at least 0\.\n$/,
    ],
    [['ask', '--max-new-tokens', '1e3', 'x'], /^emergent: [^\n]*It must be an integer of at least 0\.\n$/],
    [['ask', '--temperature', 'hot', 'x'], /^emergent: [^\n]*It must be a number of at least 0\.\n$/],
    [
      ['ask', '--top-p', '2', 'x'],
      /^emergent: option '--top-p <p>' [^\n]* It must be a number above 0 and at most 1\.\n$/,
    ],
    [['generate', ''], /^emergent: the prompt is empty[^\n]*\n$/],
    [['logits', '--tokens', '1'], /^emergent: required option '--out <file>' not specified\n$/],
    [['logits', '--out', NEW], /^emergent: give --tokens 1,2,3 or --text "\.\.\."\n$/],
    [['logits', '--tokens', '1', '--out', NEW, '--chunk', '0'], /--chunk[^\n]* an integer of at least 1\.\n$/],
    [['logits', '--tokens', '1,x', '--out', NEW], /^emergent: [^\n]*--tokens[^\n]*a list of token ids[^\n]*\n$/],
    [['logits', '--tokens', '1', '--text', 'a', '--out', NEW], /^emergent: [^\n]*cannot be used with[^\n]*\n$/],
    [
      ['logits', '--tokens', '1024', '--out', NEW],
      /^emergent: token id 1024 at position 0 is outside the vocabulary of 1024 \(0 to 1023\)\n$/,
    ],
    [
      ['logits', '--tokens', new Array(129).fill('1').join(), '--out', NEW],
      /^emergent: 129 tokens exceed the model's block_size of 128\n$/,
    ],
    [['logits', '--tokens', '1', '--out', '/nope/x'], /^emergent: \/nope\/x cannot be written[^\n]*\n$/],
    [
      ['ask', '--backend', 'reference', '--threads', '2', 'x'],
      /^emergent: --threads needs simd, but the backend is reference\n$/,
    ],
    [
      // a bad option fails before anything is downloaded
      ['ask', '--model', 'org/none', '--backend', 'reference', '--threads', '2', 'x'],
      /^emergent: --threads needs simd, but the backend is reference\n$/,
    ],
    [['ask', '--backend', 'simd', '--threads', '0', 'x'], /--threads[^\n]* an integer from 1 to 256\.\n$/],
    [['ask', '--backend', 'simd', '--threads', '99999999', 'x'], /--threads[^\n]* an integer from 1 to 256\.\n$/],
    [['tokenize', '--model', '/nope', 'x'], /^emergent: \/nope does not exist[^\n]*\n$/],
    [['build-tokenizer', '--ngrams', '/nope', '--out', NEW], /^emergent: \/nope does not exist\n$/],
    [['verify'], /^emergent: give --golden FILE or --against reference\n$/],
    [['verify', '--golden', '/nope', '--text', 'x'], /^emergent: a golden file has tokens of its own: [^\n]*\n$/],
    [['verify', '--golden', '/nope', '--against', 'reference'], /^emergent: [^\n]* cannot be used with [^\n]*\n$/],
    [['verify', '--against', 'pytorch'], /^emergent: [^\n]*Allowed choices are reference\.\n$/],
    [['record', '--out', '-'], /^emergent: give --tokens 1,2,3 or --text "..."\n$/],
    [['verify', '--golden', '/nope'], /^emergent: \/nope does not exist\n$/],
    [['perplexity', '--text', '/nope'], /^emergent: \/nope does not exist\n$/],
    [['make-checkpoint', '--preset', 'x', '--out', NEW], /^emergent: [^\n]*model_64_float[^\n]*\n$/],
    [['inspect', '--tensor-map', '/nope'], /^emergent: \/nope does not exist\n$/],
  ];
  describe('refuses with exit 2', () => {
    let outcomes: Outcome[];
    before(async () => {
      outcomes = await emergentEach(bad.map(([args]) => args));
    });
    for (const [i, [args, message]] of bad.entries()) {
      it(args.join(' ').slice(0, 60) || '(nothing)', () => {
        const { code, stdout, stderr } = outcomes[i];
        assert.equal(code, 2);
        assert.equal(stdout, '');
        assert.match(stderr, message);
      });
    }
  });

  it('shows a stack trace only with --debug', async () => {
    const { stderr } = await emergent(['ask', '--debug', '--model', '/nope', 'x']);
    assert.match(stderr, /^emergent: [^\n]*\n[\s\S]*\n {4}at /);
  });

  it('gives help with examples', async () => {
    // of every other command in help.slow.test.ts
    const { code, stdout } = await emergent(['ask', '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n {2}emergent /);
  });
});
