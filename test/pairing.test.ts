import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PARITY } from './accel/parity.js';
import { manifest } from './support/golden.js';
import { anchorsOf } from './support/links.js';

const root = fileURLToPath(new URL('../', import.meta.url));

function read(path: string): string {
  return readFileSync(root + path, 'utf8');
}

function basenames(folder: string, ending: string): string[] {
  return readdirSync(root + folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();
}

const reference = basenames('reference', '.ts').filter((name) => name !== 'index');

/** The file of golden/ that computes an op in PyTorch. */
const RUN_OP = `golden/${readdirSync(`${root}golden`).find((name) => name.endsWith('.py') && read(`golden/${name}`).includes('\ndef run_op('))}`;

/** A text from the first match of a pattern to the next match of another. */
function part(text: string, start: RegExp, end: RegExp): string {
  const rest = text.slice(text.search(start));
  return rest.slice(0, rest.search(end));
}

/** What a file of the reference exports, where it is not the file's own name. */
const EXPORTS: Record<string, string> = { kvCache: 'KvCache', model: 'forward' };

function exportsItself(path: string, op: string): boolean {
  const name = EXPORTS[op] ?? op;
  return existsSync(root + path) && new RegExp(`^export (async )?(function|class) ${name}\\b`, 'm').test(read(path));
}

/** The number of an op in accel/simd/constants.ts. */
function opConstant(op: string): string {
  return `OP_${op.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

const NO_GOLDEN = {
  add: 'one rounding of a float32 sum, a property',
  lmHead: 'it is linear',
  block: 'every activation of the golden models',
  model: 'the golden models',
  kvCache: 'the cached pass is bit-identical to the whole pass, a property',
};
const NOT_RUN = { ...NO_GOLDEN, erf: 'its truth comes from mpmath' };
const COMPOSED = {
  block: 'composed of ops',
  feedForward: 'composed of ops',
  model: 'composed of ops',
  kvCache: 'memory, no op',
};
const NO_KERNEL = { erf: 'part of gelu' };
const NOT_ALONE_ON_SIMD = { ...COMPOSED, ...NO_KERNEL, lmHead: 'it is linear' };

interface Row {
  /** Whether the row's file has its part for an op. */
  holds: (op: string) => boolean;
  /** Ops without a part there, and why. */
  without?: Record<string, string>;
}

/** One check for each row of CONTRIBUTING.md, "To add an op". */
const ROWS: Record<string, Row> = {
  'reference/NAME.ts': {
    holds: (op) => exportsItself(`reference/${op}.ts`, op) && read(`reference/${op}.ts`).includes('@example'),
  },
  'reference/index.ts': { holds: (op) => read('reference/index.ts').includes(`from './${op}.js'`) },
  'reference/README.md': {
    holds: (op) => new RegExp(`^\\|.*\\(${op}\\.ts\\).*\\|`, 'm').test(read('reference/README.md')),
    without: { model: 'the text above the table' },
  },
  'reference/book/ops.md': {
    holds: (op) => anchorsOf(`${root}reference/book/ops.md`).includes(op.toLowerCase()),
    without: { block: 'in model', erf: 'in gelu' },
  },
  'golden/cases.py': {
    holds: (op) => read('golden/cases.py').includes(`"${op}": `),
    without: NOT_RUN,
  },
  [RUN_OP]: {
    holds: (op) => part(read(RUN_OP), /^def run_op\(/m, /^ {4}raise KeyError/m).includes(`op == "${op}"`),
    without: NOT_RUN,
  },
  'accel/gpu/NAME.ts': { holds: (op) => exportsItself(`accel/gpu/${op}.ts`, op), without: NO_KERNEL },
  'accel/gpu/upload.ts': {
    holds: (op) =>
      new RegExp(`^ {2}${op}: `, 'm').test(part(read('accel/gpu/upload.ts'), /^export interface Ops/m, /^}/m)),
    without: { ...COMPOSED, ...NO_KERNEL, linear: 'one of each layer, in DeviceBlock', softmax: 'called by attention' },
  },
  'accel/simd/assembly/NAME.ts': {
    holds: (op) => exportsItself(`accel/simd/assembly/${op}.ts`, op),
    without: NOT_ALONE_ON_SIMD,
  },
  'accel/simd/constants.ts': {
    holds: (op) => read('accel/simd/constants.ts').includes(`export const ${opConstant(op)} =`),
    without: NOT_ALONE_ON_SIMD,
  },
  'accel/simd/assembly/plan.ts': {
    holds: (op) => read('accel/simd/assembly/plan.ts').includes(`case ${opConstant(op)}:`),
    without: NOT_ALONE_ON_SIMD,
  },
  'accel/simd/plan.ts': {
    holds: (op) => read('accel/simd/plan.ts').includes(`  ${op}: constants.${opConstant(op)},`),
    without: NOT_ALONE_ON_SIMD,
  },
  'accel/simd/pass.ts': {
    holds: (op) => new RegExp(`^ {2}${op}\\(`, 'm').test(read('accel/simd/pass.ts')),
    without: { ...NOT_ALONE_ON_SIMD, softmax: 'called by attention' },
  },
  'test/accel/parity.ts': { holds: (op) => op in PARITY, without: { ...COMPOSED, ...NO_KERNEL } },
  'test/accel/{gpu,simd}/ops.ts': {
    holds: (op) =>
      ['gpu', 'simd'].every((path) =>
        new RegExp(`^ {4}(async )?${op}[:,(]`, 'm').test(read(`test/accel/${path}/ops.ts`)),
      ),
    without: { ...COMPOSED, ...NO_KERNEL },
  },
  'bench/cases.ts': {
    holds: (op) => read('bench/cases.ts').includes(`'${op}'`),
    without: { ...COMPOSED, ...NO_KERNEL },
  },
  'test/reference/NAME.test.ts': { holds: (op) => existsSync(`${root}test/reference/${op}.test.ts`) },
  'test/golden/ops.test.ts': {
    holds: (op) => new RegExp(`^ {2}${op}: `, 'm').test(part(read('test/golden/ops.test.ts'), /^const CALLS/m, /^};/m)),
    without: NOT_RUN,
  },
};

/** The first column of the table in CONTRIBUTING.md. */
function promised(): string[] {
  const section = read('CONTRIBUTING.md')
    .split(/^## /m)
    .find((text) => text.startsWith('To add an op'));
  return [...(section ?? '').matchAll(/^\| `([^`]+)` /gm)].map(([, file]) => file);
}

/** Tests of the reference as a whole. */
const BESIDE_THE_OPS = ['book', 'examples', 'standalone'];

describe('pairing', () => {
  it('has a check for every row of the table in CONTRIBUTING.md, and no other', () => {
    assert.deepEqual(promised().sort(), Object.keys(ROWS).sort());
  });

  for (const [file, { holds, without = {} }] of Object.entries(ROWS)) {
    it(`every op is in ${file}, or a reason says why not`, () => {
      for (const op of Object.keys(without)) assert.ok(reference.includes(op), `${op} is no op`);
      for (const op of reference) {
        if (op in without) assert.ok(!holds(op), `${op} is in ${file}, so its exception is stale`);
        else assert.ok(holds(op), `${op} is missing in ${file}`);
      }
    });
  }

  it('every op has golden files, or a reason says why not', () => {
    for (const op of reference) assert.ok(op in manifest.ops !== op in NO_GOLDEN, op);
  });

  it('tests and parity checks name only ops of the reference', () => {
    const tests = basenames('test/reference', '.test.ts').filter((name) => !BESIDE_THE_OPS.includes(name));
    for (const op of [...tests, ...Object.keys(PARITY)]) assert.ok(reference.includes(op), op);
  });

  it('SIMD has the composed ops outside of assembly/', () => {
    for (const op of ['block', 'kvCache', 'model']) assert.ok(existsSync(`${root}accel/simd/${op}.ts`), op);
  });
});
