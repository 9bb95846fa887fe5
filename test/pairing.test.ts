import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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

describe('pairing', () => {
  const reference = basenames('../reference', '.ts').filter((name) => name !== 'index');

  it('every file of the reference has its test', () => {
    assert.deepEqual(basenames('reference', '.test.ts'), reference);
  });

  it('every op of the reference has golden files, or a stated reason why not', () => {
    const golden = Object.keys(manifest.ops);
    for (const name of reference) assert.ok(golden.includes(name) !== name in PROVEN_BY, name);
  });
});
