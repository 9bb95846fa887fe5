import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { emergent, emergentEach } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';

// The commands that read texts are in texts.slow.test.ts.
describe('results that are not finite', () => {
  const golden = fixture('models/tanh/truth.safetensors');
  let folder: string;
  const path = (name: string) => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    for (const value of [NaN, Infinity]) {
      const { model } = await loadModel(fixture('models/tanh'));
      model.weights.blocks[0].ffnUp.weight.data[5] = value;
      await saveModel(path(String(value)), model);
    }
    const { model } = await loadModel(fixture('models/tanh'));
    model.weights.lmHead.weight.data.fill(-Infinity, 0, 16); // one logit, which no later op sees
    await saveModel(path('head'), model);
  });
  after(() => rm(folder, { recursive: true }));

  it('are not written by logits and trace', async () => {
    const models = [
      ['NaN', 'simd'],
      ['Infinity', 'reference'],
      ['head', 'simd'],
    ];
    const commands = models.flatMap(([model, backend]) =>
      ['logits', 'trace'].map((command) => [command, '--model', path(model), '--backend', backend, '--tokens', '1,2']),
    );
    const outcomes = await emergentEach(commands.map((args) => [...args, '--out', path('out.safetensors')]));
    for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
      assert.deepEqual([code, stdout], [2, ''], commands[i].join(' '));
      const [command, , model] = commands[i];
      const first = command === 'logits' || model === path('head') ? 'logits' : 'layers\\.0\\.ffn_up';
      const line = new RegExp(
        `^emergent: ${first} contains (NaN|-?Infinity) at element \\d+: are the weights [^\\n]*\\n$`,
      );
      assert.match(stderr, line, commands[i].join(' '));
    }
    assert.ok(!(await readdir(folder)).includes('out.safetensors'));
  });

  it('are a difference to verify, which names the op', async () => {
    const request = (model: string) => ['verify', '--golden', golden, '--any-weights', '--model', path(model)];
    const cases = [
      ['NaN', 'simd'],
      ['Infinity', 'reference'],
    ];
    const outcomes = await emergentEach(cases.map(([model, backend]) => [...request(model), '--backend', backend]));
    for (const [i, [model, backend]] of cases.entries()) {
      const { code, stdout, stderr } = outcomes[i];
      assert.deepEqual([code, stderr], [1, '']);
      assert.match(stdout, /\nfirst: layers\.0\.ffn_up \(linear\), caused by this op: all its inputs agree\n/);
      assert.match(stdout, new RegExp(`\\n${backend} computed -?${model} in layers\\.0\\.ffn_up\\n`));
      assert.match(stdout, /\nnot explained: [^\n]*are the weights damaged[^\n]*\n$/);
    }
  });

  it('are named in the JSON and the page of verify', async () => {
    const html = path('report.html');
    const request = ['verify', '--golden', golden, '--any-weights', '--model', path('NaN'), '--json', '--html', html];
    const { code, stdout } = await emergent([...request, '--backend', 'reference']);
    const { first } = JSON.parse(stdout) as { first: Record<string, unknown> };
    assert.equal(code, 1);
    assert.deepEqual([first.status, first.ours, first.share], ['NAN', 'NaN', 'Infinity']);
    assert.match(await readFile(html, 'utf8'), /reference computed NaN in layers\.0\.ffn_up/);
  });
});
