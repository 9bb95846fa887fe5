import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { explain } from '../../../src/verify/explain.js';
import type { Golden } from '../../../src/verify/golden.js';
import { renderHtml } from '../../../src/verify/html.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { describeExplanation, summarize } from '../../../src/verify/report.js';
import { verify } from '../../../src/verify/verify.js';
import type { Model } from '../../../reference/lib/weights.js';

const golden = fileURLToPath(new URL('../../../golden/', import.meta.url));
const folder = `${golden}fixtures-planted`;

/** The rows of the table of planted bugs in golden/README.md. */
const rows = readFileSync(`${golden}README.md`, 'utf8')
  .split('## Planted bugs')[1]
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (planted|-)/.test(line))
  .map((line) =>
    line
      .slice(2, -2)
      .split(/ +\| +/)
      .map((cell) => cell.trim()),
  );

function fileOf(bug: string): string {
  return `${folder}/truth/${bug.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')}.safetensors`;
}

async function verdict(model: Model, truth: Golden): Promise<string> {
  const report = await verify(model, truth);
  if (!report.first) return 'agrees';
  const explanation = await explain(model, truth, 'reference');
  const line = summarize(report, explanation).split('\n').at(-1)!;
  assert.ok(renderHtml(report, explanation).includes(line.replaceAll('&', '&amp;').replaceAll('<', '&lt;')), line);
  return explanation ? line.replace('explained: ', '') : line.split(':')[0];
}

function keep(truth: Golden, isKept: (name: string) => boolean): void {
  for (const name of [...truth.tensors.keys()]) if (!isKept(name)) truth.tensors.delete(name);
}

describe('explain names bugs planted in PyTorch', () => {
  let model: Model;
  before(async () => ({ model } = await loadModel(folder)));

  it('has a row in golden/README.md for each file', () => {
    const files = readdirSync(`${folder}/truth`).map((name) => `${folder}/truth/${name}`);
    assert.deepEqual(rows.map(([bug]) => fileOf(bug)).sort(), files.sort());
    assert.ok(rows.filter(([, answer]) => answer !== 'not explained' && answer !== 'agrees').length >= 40);
  });

  for (const [bug, answer, withoutInside] of rows) {
    it(bug, async () => {
      const truth = await readGolden(fileOf(bug));
      assert.equal(await verdict(model, truth), answer);
      keep(truth, (name) => !/\.(q_rot|k_rot|attn_weights)$/.test(name));
      assert.equal(await verdict(model, truth), withoutInside === 'the same' ? answer : withoutInside);
    });
  }

  for (const bug of ['rotation backward', 'bias of one ffn.0', 'post-norm', 'weights in int8', 'mask after softmax']) {
    it(`${bug}, from the logits alone`, async () => {
      const truth = await readGolden(fileOf(bug));
      keep(truth, (name) => name === 'logits');
      assert.equal(await verdict(model, truth), rows.find(([name]) => name === bug)![1]);
    });
  }

  it('says where the file differs next if a second bug is unknown', async () => {
    const truth = await readGolden(fileOf('rotation backward'));
    const data = truth.tensors.get('layers.1.ffn_out')!.data;
    data.forEach((value, i) => (data[i] = value + 0.1 * Math.cos(i)));
    const explanation = await explain(model, truth, 'reference');
    assert.equal(
      describeExplanation(explanation!),
      'the rotation turns the other way (−sin); with that everything agrees up to layers.1.ffn_act, ' +
        'then the next mismatch is layers.1.ffn_out (linear)',
    );
  });
});
