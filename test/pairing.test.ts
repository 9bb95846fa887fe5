import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import * as exported from '../reference/index.js';
import { PARITY } from './accel/parity.js';
import { manifest } from './support/golden.js';

// Every row of the table "To add an op" in CONTRIBUTING.md has a test here, in the order of the table. Only CALLS of
// test/golden/ops.test.ts is compared with the golden files there.

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}

function read(file: string): string {
  return readFileSync(pathOf(file), 'utf8');
}

function basenames(folder: string, ending: string): string[] {
  return readdirSync(pathOf(folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();
}

/** The names that a TypeScript file declares: functions, and members of classes, interfaces and object literals. */
function declared(file: string): { functions: string[]; members: string[]; strings: string[] } {
  const [functions, members, strings]: [string[], string[], string[]] = [[], [], []];
  function visit(node: ts.Node): void {
    if (ts.isFunctionDeclaration(node) && node.name) functions.push(node.name.text);
    if ((ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node)) && node.name) {
      members.push(node.name.getText());
    }
    if (ts.isStringLiteral(node)) strings.push(node.text);
    ts.forEachChild(node, visit);
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true));
  return { functions, members, strings };
}

/** `layerNorm` as constants of plans spell it: `OP_LAYER_NORM`. */
function planConstant(op: string): string {
  return `OP_${op.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Files whose export has another name. */
const EXPORTS: Record<string, string> = { model: 'forward', kvCache: 'KvCache' };

/** Ops without golden files of their own, and what proves them instead. */
const PROVEN_BY: Record<string, string> = {
  add: 'one rounding of a float32 sum, a property',
  lmHead: 'it is linear',
  block: 'every activation of the golden models',
  model: 'the golden models',
  kvCache: 'the cached pass is bit-identical to the whole pass, a property',
};

/** Golden ops that `run_op` does not compute, and where their truth is made instead. */
const NOT_IN_RUN_OP: Record<string, string> = { erf: 'mpmath', erfc: 'mpmath', ropeTables: 'rope_tables of model.py' };

/** Ops of the reference that GPU.js needs no kernel for. */
const NOT_ON_GPU: Record<string, string> = { erf: 'gelu has its own' };

/** Kernels without a member in Ops, and why. */
const NOT_IN_OPS: Record<string, string> = {
  linear: 'every layer is one, in DeviceBlock',
  softmax: 'attention takes it',
};

/** Files of accel/gpu that put ops together; test/accel/gpu/model.test.ts runs them all. */
const COMPOSED = ['block', 'feedForward', 'kvCache', 'model'];

/** Ops of the reference without a file of their own in accel/simd, and why. */
const NOT_ON_SIMD: Record<string, string> = {
  erf: 'gelu has its own',
  lmHead: 'it is linear, and checked as such at its own sizes',
  feedForward: 'three calls in block',
};

/** Kernels without a method in Pass, and why. */
const NOT_IN_PASS: Record<string, string> = { softmax: 'attention calls it' };

/** Tests of the reference as a whole. */
const BESIDE_THE_OPS = ['book', 'examples', 'standalone'];

describe('pairing', () => {
  const reference = basenames('reference', '.ts').filter((name) => name !== 'index');
  const checked = Object.keys(PARITY).sort();

  it('reference/NAME.ts declares a function of its name, and index.ts exports it', () => {
    for (const name of reference) {
      const expected = EXPORTS[name] ?? name;
      assert.ok(expected in exported, `reference/index.ts does not export ${expected}`);
      const text = read(`reference/${name}.ts`);
      assert.ok(new RegExp(`^export (function|class) ${expected}\\b`, 'm').test(text), `reference/${name}.ts`);
    }
  });

  it('reference/README.md has a line for every op', () => {
    // model.ts is where the reader starts; the text above the table says so
    const lines = read('reference/README.md').split('\n');
    for (const name of reference) {
      const links = lines.filter((line) => line.includes(`](${name}.ts)`));
      assert.ok(
        links.some((line) => name === 'model' || line.startsWith('|')),
        `${name} has no line in the table`,
      );
    }
  });

  it('golden/cases.py and the golden files have every op, or a reason is stated', () => {
    const golden = Object.keys(manifest.ops);
    for (const name of reference) assert.ok(golden.includes(name) !== name in PROVEN_BY, name);
    const cases = read('golden/cases.py');
    for (const op of golden) {
      if (NOT_IN_RUN_OP[op] !== 'mpmath') assert.ok(cases.includes(`"${op}": `), `golden/cases.py has no ${op}`);
    }
  });

  it('run_op computes every golden op in PyTorch, or a reason is stated', () => {
    const file = basenames('golden', '.py').find((name) => read(`golden/${name}.py`).includes('def run_op('));
    assert.ok(file, 'no file of golden/ defines run_op');
    const body = /^def run_op\([^]*?(?=^\S)/m.exec(read(`golden/${file}.py`))![0];
    for (const op of Object.keys(manifest.ops)) {
      assert.ok(body.includes(`if op == "${op}":`) !== op in NOT_IN_RUN_OP, `run_op: ${op}`);
    }
  });

  it('accel/gpu/NAME.ts has the kernel of every op, declares its name and has its check', () => {
    const twins = basenames('accel/gpu', '.ts').filter((name) => reference.includes(name));
    assert.deepEqual(
      twins,
      reference.filter((name) => !(name in NOT_ON_GPU)),
    );
    assert.deepEqual([...checked, ...COMPOSED].sort(), twins);
    for (const name of checked) {
      assert.ok(declared(`accel/gpu/${name}.ts`).functions.includes(name), `accel/gpu/${name}.ts`);
    }
  });

  it('Ops of accel/gpu has every kernel, or a reason is stated', () => {
    const file = basenames('accel/gpu', '.ts').find((name) => read(`accel/gpu/${name}.ts`).includes('interface Ops {'));
    assert.ok(file, 'no file of accel/gpu declares Ops');
    const body = /interface Ops \{([^}]*)\}/.exec(read(`accel/gpu/${file}.ts`))![1];
    for (const name of checked) assert.ok(body.includes(`  ${name}: `) !== name in NOT_IN_OPS, `Ops: ${name}`);
  });

  it('accel/simd has every op in AssemblyScript or on the host, or a reason is stated', () => {
    for (const name of reference) {
      const twin = existsSync(pathOf(`accel/simd/assembly/${name}.ts`)) || existsSync(pathOf(`accel/simd/${name}.ts`));
      assert.ok(twin !== name in NOT_ON_SIMD, name);
    }
    for (const name of checked) {
      assert.ok(existsSync(pathOf(`accel/simd/assembly/${name}.ts`)) !== name in NOT_ON_SIMD, name);
    }
  });

  it('every kernel in AssemblyScript has its number, its place in both plans and its method', () => {
    const constants = read('accel/simd/constants.ts');
    const host = read('accel/simd/plan.ts');
    const kernels = read('accel/simd/assembly/plan.ts');
    const { members } = declared('accel/simd/pass.ts');
    for (const name of checked.filter((op) => !(op in NOT_ON_SIMD))) {
      const constant = planConstant(name);
      assert.ok(constants.includes(`const ${constant} =`), `constants.ts has no ${constant}`);
      assert.ok(host.includes(`${name}: constants.${constant},`), `plan.ts has no ${name}`);
      assert.ok(kernels.includes(`case ${constant}:\n        ${name}(`), `assembly/plan.ts does not call ${name}`);
      assert.ok(members.includes(name) !== name in NOT_IN_PASS, `pass.ts: ${name}`);
    }
  });

  for (const path of ['gpu', 'simd']) {
    it(`test/accel/${path}/ops.ts calls every op that has a check`, () => {
      const { members } = declared(`test/accel/${path}/ops.ts`);
      for (const name of checked) assert.ok(members.includes(name), name);
    });
  }

  it('bench/cases.ts has every op that has a check', () => {
    const { strings } = declared('bench/cases.ts');
    for (const name of checked) assert.ok(strings.includes(name), name);
  });

  it('test/reference/NAME.test.ts has the properties of every op', () => {
    const tests = basenames('test/reference', '.test.ts').filter((name) => !BESIDE_THE_OPS.includes(name));
    assert.deepEqual(tests, reference);
  });
});
