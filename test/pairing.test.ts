import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PARITY } from './accel/parity.js';
import { manifest } from './support/golden.js';

function basenames(folder: string, ending: string): string[] {
  return readdirSync(fileURLToPath(new URL(folder, import.meta.url)))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();
}

/** Ops without golden files of their own, and what proves them instead. */
const PROVEN_BY: Record<string, string> = {
  add: 'one rounding of a float32 sum, a property',
  lmHead: 'it is linear',
  block: 'every activation of the golden models',
  model: 'the golden models',
  kvCache: 'the cached pass is bit-identical to the whole pass, a property',
};

/** Ops of the reference that GPU.js needs no kernel for. */
const NOT_ON_GPU: Record<string, string> = { erf: 'gelu has its own' };

/** Files of accel/gpu that put ops together; test/accel/gpu/model.test.ts runs them all. */
const COMPOSED = ['block', 'feedForward', 'kvCache', 'model'];

/** Ops of the reference without a file of their own in accel/simd, and why. */
const NOT_ON_SIMD: Record<string, string> = {
  erf: 'gelu has its own',
  lmHead: 'it is linear, and checked as such at its own sizes',
  feedForward: 'three calls in block',
};

/** Tests of the reference as a whole. */
const BESIDE_THE_OPS = ['book', 'examples', 'standalone'];

describe('pairing', () => {
  const reference = basenames('../reference', '.ts').filter((name) => name !== 'index');

  it('every file of the reference has its test', () => {
    const tests = basenames('reference', '.test.ts').filter((name) => !BESIDE_THE_OPS.includes(name));
    assert.deepEqual(tests, reference);
  });

  it('every op of the reference has golden files, or a stated reason why not', () => {
    const golden = Object.keys(manifest.ops);
    for (const name of reference) assert.ok(golden.includes(name) !== name in PROVEN_BY, name);
  });

  it('every op of the reference has its twin on GPU.js, and every twin its check', () => {
    const twins = basenames('../accel/gpu', '.ts').filter((name) => reference.includes(name));
    assert.deepEqual(
      twins,
      reference.filter((name) => !(name in NOT_ON_GPU)),
    );
    assert.deepEqual([...Object.keys(PARITY), ...COMPOSED].sort(), twins);
  });

  it('every op of the reference has its twin in AssemblyScript, and every check runs there', () => {
    const kernels = basenames('../accel/simd/assembly', '.ts');
    const host = basenames('../accel/simd', '.ts');
    for (const name of reference) {
      const twin = kernels.includes(name) || host.includes(name);
      assert.ok(twin !== name in NOT_ON_SIMD, name);
    }
    for (const name of Object.keys(PARITY)) assert.ok(kernels.includes(name) || name in NOT_ON_SIMD, name);
  });
});
