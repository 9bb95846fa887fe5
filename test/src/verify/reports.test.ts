import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { compareFiles } from '../../../src/verify/compareFiles.js';
import { recordedRoles, type Golden } from '../../../src/verify/golden.js';
import { renderJunit } from '../../../src/verify/junit.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { summarizeFiles } from '../../../src/verify/report.js';
import { BOUNDS } from '../../../src/verify/tolerance.js';
import { verify } from '../../../src/verify/verify.js';
import { emergent, run } from '../../support/cli.js';
import { fixture } from '../../support/golden.js';
import { skip } from '../../support/setup.js';

const recorded = fileURLToPath(new URL('../../../golden/fixtures-recorded/', import.meta.url));

const number = v.nullable(v.number());
const ROW = v.strictObject({
  name: v.string(),
  op: v.picklist(Object.keys(BOUNDS)),
  status: v.picklist(['OK', 'DIFF', 'SHAPE', 'NAN']),
  shape: v.array(v.number()),
  bound: v.number(),
  share: number,
  difference: v.nullable(
    v.strictObject({
      ...{ max: number, rms: number, relativeL2: number, relativeMax: number, ulp: number },
      ...{ worst: v.number(), nan: v.number() },
    }),
  ),
  ours: number,
  truth: number,
  origin: v.nullable(
    v.union([
      v.literal('born here'),
      v.strictObject({ handedDownBy: v.string() }),
      v.strictObject({ bornHereOrIn: v.array(v.string()) }),
    ]),
  ),
});
const HEADER = v.strictObject({
  format: v.literal(1),
  producer: v.string(),
  precision: v.picklist(['float64', 'float32', 'bfloat16', 'float16']),
  tokens: v.array(v.number()),
  weights_sha256: v.optional(v.string()),
  synthetic: v.optional(v.strictObject({ preset: v.string(), seed: v.number() })),
});
const COMMON = {
  schema: v.literal(1),
  ok: v.boolean(),
  notes: v.array(v.string()),
  notCompared: v.array(v.string()),
  first: v.nullable(ROW),
  rows: v.array(ROW),
  tolerance: v.optional(v.record(v.string(), v.number())),
};
const VERIFY = v.strictObject({
  ...COMMON,
  golden: HEADER,
  backend: v.string(),
  precision: v.picklist(['reference', 'float32']),
  explained: v.nullable(v.string()),
});
const COMPARE = v.strictObject({ ...COMMON, a: HEADER, b: HEADER, identical: v.boolean() });

async function open(name: string, file = 'golden') {
  const golden = await readGolden(`${recorded}${name}/${file}.safetensors`);
  return { golden, ...(await loadModel(`${recorded}${name}`, { recorded: recordedRoles(golden) })) };
}

/** The file with an error of so many rms in one element of one activation. */
function disturbed(golden: Golden, name: string, rms: number): Golden {
  const tensor = golden.tensors.get(name)!;
  const data = tensor.data.slice();
  data[0] += rms * Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  return { ...golden, tensors: new Map(golden.tensors).set(name, { ...tensor, data }) };
}

describe('reports', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'emergent-reports-'))));
  after(() => rm(folder, { recursive: true }));

  const tanh = fixture('models/tanh');
  const toVerify = ['verify', '--backend', 'reference', '--model', tanh, '--golden', join(tanh, 'truth.safetensors')];

  it('are JSON of the schema that golden/FORMAT.md documents', async () => {
    const { code, stdout } = await emergent([...toVerify, '--json', '--dtype', 'int8', '--tolerance', '2']);
    assert.equal(code, 1);
    const report = v.parse(VERIFY, JSON.parse(stdout));
    assert.match(report.notes.join('\n'), /LOOSENED by --tolerance: all by 2\nexpected: --dtype int8 rounds/);
    const [a, b] = ['golden', 'bfloat16'].map((file) => `${recorded}complex/${file}.safetensors`);
    const compared = await emergent(['compare', '--json', a, b]);
    assert.equal(compared.code, 0, compared.stderr);
    assert.equal(v.parse(COMPARE, JSON.parse(compared.stdout)).identical, false);
    const format = await readFile(new URL('../../../golden/FORMAT.md', import.meta.url), 'utf8');
    const documented = new Set([...format.matchAll(/^\| (`.*?) *\|/gm)].flatMap(([, cell]) => cell.match(/\w+/g)));
    for (const key of [...Object.keys(VERIFY.entries), ...Object.keys(COMPARE.entries), ...Object.keys(ROW.entries)]) {
      assert.ok(documented.has(key), `golden/FORMAT.md: ${key}`);
    }
  });

  it('are JUnit XML with one test case an activation, which another program can read', async function () {
    const { golden, model } = await open('hand');
    const wrong = disturbed(golden, 'layers.1.q', 1e-3);
    wrong.tolerance = { add: 2 };
    const report = await verify(model, wrong);
    const junit = renderJunit({ ...report, notCompared: ['a<b'] }, 'a "suite" & more', 'verdict\u0001]]>\nline');
    const file = join(folder, 'report.xml');
    await writeFile(file, junit);
    assert.equal(junit.match(/<testcase /g)?.length, report.rows.length + 1);
    assert.equal(junit.match(/<failure /g)?.length, 1);
    assert.match(
      junit,
      /<testcase name="layers.1.q" classname="linear"><failure type="DIFF" message="DIFF: caused by this/,
    );
    assert.match(junit, /value="bounds LOOSENED by --tolerance: add by 2"/);
    const python =
      'import sys, xml.dom.minidom as m; print(len(m.parse(sys.argv[1]).getElementsByTagName("testcase")))';
    const parsed = await run('python3', ['-c', python, file]).catch(() => null);
    if (!parsed) skip(this, 'no python3 to parse the XML with');
    assert.equal(parsed.stdout.trim(), String(report.rows.length + 1), parsed.stderr);
  });

  it('scale the bounds by --tolerance, and refuse what is no factor', async () => {
    const { golden, model } = await open('hand');
    const wrong = disturbed(golden, 'layers.1.q', 2e-5);
    const { first } = await verify(model, wrong);
    assert.equal(first?.name, 'layers.1.q');
    wrong.tolerance = { linear: first.share * 1.01 };
    assert.equal((await verify(model, wrong)).first, null);
    wrong.tolerance = { linear: first.share * 0.99, gelu: 100 };
    assert.equal((await verify(model, wrong)).first?.name, 'layers.1.q');
    const file = join(folder, 'tolerance.json');
    for (const [text, message] of [
      ['{"linear": 0}', /expected a JSON object from ops to factors above 0/],
      ['{"linnear": 2}', /unknown op "linnear"; choose from: embedding, /],
      ['[2]', /expected a JSON object/],
    ] as const) {
      await writeFile(file, text);
      const { code, stderr } = await emergent([...toVerify, '--tolerance', file]);
      assert.equal(code, 2);
      assert.match(stderr, message);
      assert.match(stderr, /^[^\n]+\n$/);
    }
  });

  for (const format of ['bfloat16', 'float16'] as const) {
    it(`bound truth in ${format} by that format, and still see a wrong op`, async () => {
      for (const name of ['complex', 'hand']) {
        const { golden, model } = await open(name, format);
        const report = await verify(model, golden);
        assert.equal(report.first, null);
        assert.ok(report.worst.row.share > 0.05, 'a bound that nothing comes near would catch nothing');
        assert.match(report.notes[0], new RegExp(`^bounds: \\d+ times .* computed in ${format}$`));
        const { ropePairing } = model.config;
        const config = {
          ...model.config,
          ropePairing: ropePairing === 'half' ? ('interleaved' as const) : ('half' as const),
        };
        assert.equal((await verify({ ...model, config }, golden)).first?.op, 'rope');
      }
    });
  }

  it('bound float64 truth that is stored in bfloat16 by one rounding', async () => {
    const { golden, model } = await open('complex');
    const tensors = new Map(
      [...golden.tensors].map(([name, tensor]) => {
        const data = tensor.data.map((x) => {
          const bits = new Uint32Array(Float32Array.of(x).buffer);
          bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
          return new Float32Array(bits.buffer)[0];
        });
        return [name, { ...tensor, data, dtype: 'BF16' as const }];
      }),
    );
    const report = await verify(model, { ...golden, tensors });
    assert.equal(report.first, null);
    assert.match(report.notes.join(), /one rounding wider where the truth is stored in bfloat16/);
    assert.ok(report.worst.row.share > 0.5);
    assert.equal(
      (
        await verify(model, {
          ...golden,
          tensors: new Map([...tensors].map(([name, it]) => [name, { ...it, dtype: 'F32' as const }])),
        })
      ).first?.name,
      'embedding',
    );
  });
});

describe('compare', () => {
  it('finds the same values, values within bounds, and the op that differs', async () => {
    const { golden } = await open('hand');
    const same = compareFiles(golden, golden);
    assert.deepEqual([same.identical, same.first, same.rows.length], [true, null, golden.tensors.size]);
    const near = compareFiles(disturbed(golden, 'layers.1.q', 1e-7), golden);
    assert.deepEqual([near.identical, near.first], [false, null]);
    const both = disturbed(disturbed(golden, 'layers.1.q', 1e-3), 'layers.1.q_rot', 1e-3);
    const far = compareFiles(both, golden);
    assert.equal(far.first?.name, 'layers.1.q');
    assert.equal(far.first.origin, 'born here');
    assert.deepEqual(far.rows.find(({ name }) => name === 'layers.1.q_rot')?.origin, { handedDownBy: 'layers.1.q' });
    assert.match(summarizeFiles(far), /^DIFF: 2 of 49 .*\nfirst: layers\.1\.q \(linear\), caused by this op/);
  });

  it('compares what both files have, whole or sampled', async () => {
    const { golden } = await open('complex');
    const logits = golden.tensors.get('logits')!;
    const sampled = { ...logits, data: logits.data.filter((_, i) => i % 5 === 0), step: 5 };
    const part: Golden = { ...golden, tensors: new Map([['logits', sampled]]) };
    for (const [a, b] of [
      [golden, part],
      [part, golden],
    ]) {
      const report = compareFiles(a, b);
      assert.deepEqual(
        [report.identical, report.rows.length, report.notCompared.length],
        [true, 1, golden.tensors.size - 1],
      );
    }
    const seventh = { ...logits, data: logits.data.filter((_, i) => i % 7 === 0), step: 7 };
    const other = { ...golden, tensors: new Map([['logits', seventh]]) };
    assert.throws(() => compareFiles(part, other), /sampled at steps of 5 and 7/);
  });

  it('refuses files that have nothing to compare', async () => {
    const { golden } = await open('complex');
    const only = (name: string): Golden => ({ ...golden, tensors: new Map([[name, golden.tensors.get(name)!]]) });
    assert.throws(() => compareFiles(only('logits'), only('embedding')), /no activation in common/);
    const other = { ...golden, header: { ...golden.header, tokens: [1] } };
    assert.throws(() => compareFiles(golden, other), /hold different tokens/);
    const { golden: post } = await open('hand');
    assert.throws(() => compareFiles(golden, post), /place their norms differently/);
    const strange = { ...golden, tensors: new Map([['layers.99999.q', golden.tensors.get('logits')!]]) };
    assert.throws(() => compareFiles(strange, strange), /layers\.99999\.q is not an activation/);
  });
});
