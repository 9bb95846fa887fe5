import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { openSafetensors, encodeSafetensors } from '../../../src/checkpoint/safetensors.js';
import { demoFolder, load } from '../../../src/load.js';
import { emergent, emergentEach, emergentOnTerminal } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';

/** Clears the screen, in the forms of 7 and of 8 bits; reverses the line. */
const HOSTILE = 'a\u001b[2J\u009b2J\u202e';
/** What no output for a person may contain. */
// eslint-disable-next-line no-control-regex -- these are what the tests look for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

describe('foreign text', () => {
  let folder: string;
  const path = (name: string) => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    await cp(demoFolder(), path('model'), { recursive: true });
    const { model } = await load();
    model.weights.lmHead.bias!.data[27] = 1e4; // always the token of the escape character
    await saveModel(path('model'), { ...model, config: { ...model.config, modelType: HOSTILE } });
  });
  after(() => rm(folder, { recursive: true }));

  it('that a model generates is raw in a pipe, and escaped on a terminal', async () => {
    const request = ['--model', path('model'), '--max-new-tokens', '2'];
    for (const args of [
      ['generate', ...request, 'Question:'],
      ['ask', ...request, 'x'],
    ]) {
      assert.equal((await emergent(args)).stdout, '\u001b\u001b\n');
      assert.equal((await emergentOnTerminal(args)).stdout, '\\u{1b}\\u{1b}\n');
    }
  });

  it('from the files of a model is escaped', async () => {
    await writeFile(path('names.txt'), `${HOSTILE}\nKenya\nPeru\n`);
    const commands = [
      ['inspect'],
      ['inspect', '--json'],
      ['tour'],
      ['bench', '--prefill', '1', '--decode', '1', '--steps', '1'],
      ['logit-lens', HOSTILE, '--html', '-'],
      ['logit-lens', HOSTILE, '--json'],
      ['neighbors', HOSTILE, '--among', path('names.txt'), '--html', '-'],
      ['tokenize', HOSTILE],
    ];
    const outcomes = await emergentEach(commands.map((args) => [...args, '--model', path('model')]));
    for (const [i, args] of commands.entries()) {
      const { code, stdout } = outcomes[i];
      assert.equal(code, 0, args.join(' '));
      assert.ok(!CONTROL.test(stdout), `${args[0]}: ${JSON.stringify(CONTROL.exec(stdout))}`);
      assert.match(stdout, /u\{?(001b|1b)|u\{?00?9b/, `${args.join(' ')} shows it`);
    }
  });

  it('from a golden file is escaped, on a page as well', async () => {
    const file = await openSafetensors(fixture('models/tanh/truth.safetensors'));
    const header = JSON.parse(file.metadata.emergent) as Record<string, unknown>;
    const { data, shape } = await file.readFloat64('logits');
    await file.close();
    const tensors = { logits: { shape, data: Float32Array.from(data) } };
    const emergentEntry = JSON.stringify({ ...header, producer: HOSTILE });
    await writeFile(path(`golden.st`), Buffer.concat([...encodeSafetensors(tensors, { emergent: emergentEntry })]));
    const request = [
      'verify',
      '--model',
      fixture('models/tanh'),
      '--golden',
      path('golden.st'),
      '--html',
      path('page.html'),
    ];
    const { stdout } = await emergent(request);
    for (const text of [stdout, await readFile(path('page.html'), 'utf8')]) {
      assert.ok(!CONTROL.test(text));
      assert.ok(text.includes('a\\u{1b}[2J\\u{9b}2J\\u{202e} float64'));
    }
  });
});
