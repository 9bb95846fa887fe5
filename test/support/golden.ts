import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openSafetensors, type SafetensorsFile } from '../../src/checkpoint/safetensors.js';

/** The fixture format that the tests read. */
const FORMAT = 1;

interface Manifest {
  format: number;
  torch: string;
  ops: Record<string, Record<string, { inputs: string[]; attributes: Record<string, never> }>>;
  models: Record<string, { about: string; activations: 'all' | string[]; weights_sha256: string }>;
  demo: { weights_sha256: string; prompts: number };
}

/** The path of a fixture, such as `models/tanh`. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../../golden/fixtures/${path}`, import.meta.url));
}

function readManifest(): Manifest {
  const path = fixture('manifest.json');
  if (!existsSync(path)) throw new Error(`${path} does not exist; create it with npm run golden`);
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  if (manifest.format !== FORMAT) {
    throw new Error(`${path} has format ${manifest.format}, the tests read ${FORMAT}; recreate it with npm run golden`);
  }
  return manifest;
}

export const manifest: Manifest = readManifest();

/** A fixture's JSON. */
export function readFixture(path: string): unknown {
  return JSON.parse(readFileSync(fixture(path), 'utf8'));
}

/** All tensors of a file in float64, which is exact. */
export async function readTruth(path: string): Promise<Map<string, Float64Array>> {
  const file: SafetensorsFile = await openSafetensors(fixture(path));
  try {
    const tensors = new Map<string, Float64Array>();
    for (const name of file.tensors.keys()) tensors.set(name, (await file.readFloat64(name)).data);
    return tensors;
  } finally {
    await file.close();
  }
}

/** ‖a − truth‖ / ‖truth‖ (Euclidean) over the finite elements; infinite if an infinity or NaN does not match. */
export function relativeDistance(a: ArrayLike<number>, truth: Float64Array): number {
  if (a.length !== truth.length) return Infinity;
  const scale = truth.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0) || 1;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < truth.length; i++) {
    if (Object.is(a[i], truth[i]) || a[i] === truth[i]) {
      if (Number.isFinite(truth[i])) norm += (truth[i] / scale) ** 2;
      continue;
    }
    if (!Number.isFinite(a[i]) || !Number.isFinite(truth[i])) return Infinity;
    difference += ((a[i] - truth[i]) / scale) ** 2;
    norm += (truth[i] / scale) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** Half the gap between float32 numbers around x: the largest error of one rounding. */
export function halfUlp(x: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), -126);
  return 2 ** (exponent - 24);
}

/** Prints rows in aligned columns under a test's title. */
export function printTable(rows: string[][]): void {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  for (const row of rows) console.log(`      ${row.map((cell, c) => cell.padEnd(widths[c])).join('  ')}`.trimEnd());
}
