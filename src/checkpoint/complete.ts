import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { show } from '../../reference/lib/tensor.js';
import type { CanonicalTensor } from './canonical.js';
import { plain } from '../lib/quote.js';

/** A tensor of the file and the canonical tensor that it claims to be. */
export interface Claim {
  name: string;
  shape: readonly number[];
  canonical: string;
  /** Whether it is stored as [in, out], so that reading it must transpose it. */
  transposed: boolean;
  /** How: by the user's map, by the roles of a recording, by its own canonical name, or by role words and shape. */
  by: 'map' | 'recording' | 'name' | 'role';
}

/**
 * Checks that no tensor is claimed twice, all have the right shape, no required one is missing, and all layers have the
 * same optional ones.
 *
 * @throws CheckpointError that names the tensors and the fault.
 */
export function checkComplete(
  claims: readonly Claim[],
  canonical: ReadonlyMap<string, CanonicalTensor>,
  { nLayer: L }: ModelConfig,
  source: string,
  computed: readonly string[] = [],
): void {
  function fail(fault: string): never {
    throw new CheckpointError(`${source}: ${fault}`);
  }
  const found = new Map<string, string>();
  for (const claim of claims) {
    const name = plain(claim.name);
    const expected = canonical.get(claim.canonical);
    if (!expected) {
      const layer = /^transformer_layers\.(\d+)/.exec(claim.canonical)?.[1];
      if (Number(layer) >= L) fail(`${name} is in layer ${layer!}, but n_layer is ${L}`);
      return fail(`${name} looks like ${claim.canonical}, which this architecture does not have`);
    }
    const other = found.get(claim.canonical);
    if (other !== undefined) {
      fail(`both ${other} and ${name} look like ${claim.canonical}: identify them with --tensor-map`);
    }
    found.set(claim.canonical, name);
    checkShape(claim, expected, fail);
  }
  checkFused(found, fail);
  const missing = [...canonical.values()].filter(
    ({ name, required }) => required && !isFound(name, found) && !computed.includes(name),
  );
  if (missing.length > 0) {
    const list = missing.map(({ name, shape }) => `${name} ${show(shape)}`);
    const untied = missing.every(({ part }) => part === 'head');
    fail(
      `nothing found for ${enumerate(list)}` +
        (untied ? ' (the head of this architecture is not tied to the embedding)' : '') +
        ': use --tensor-map if the file has it under another name',
    );
  }
  checkSameInAllLayers(found, L, fail);
}

type Fail = (fault: string) => never;

function checkShape({ name, shape, canonical, transposed, by }: Claim, expected: CanonicalTensor, fail: Fail): void {
  const oriented = transposed ? shape.toReversed() : shape;
  if (show(oriented) === show(expected.shape)) return;
  const as = name === canonical ? '' : ` (${canonical})`;
  fail(
    `${plain(name)}${as} is ${show(shape)}, expected ${show(expected.shape)} (${expected.letters})` +
      (by === 'role' ? ': if it is something else, identify it with --tensor-map' : ''),
  );
}

/** A layer must have either fused qkv or separate q, k and v, not both. */
function checkFused(found: ReadonlyMap<string, string>, fail: Fail): void {
  for (const [canonical, fused] of found) {
    if (!canonical.includes('.qkv_proj.')) continue;
    for (const part of ['.q_proj.', '.k_proj.', '.v_proj.']) {
      const separate = found.get(canonical.replace('.qkv_proj.', part));
      if (separate !== undefined) fail(`${fused} contains q, k and v, but the file also has ${separate}`);
    }
  }
}

function isFound(canonical: string, found: ReadonlyMap<string, string>): boolean {
  return found.has(canonical) || found.has(canonical.replace(/\.[qkv]_proj\./, '.qkv_proj.'));
}

/** Every bias needs its weight, and a tensor in one layer needs its counterparts in all others. */
function checkSameInAllLayers(found: ReadonlyMap<string, string>, L: number, fail: Fail): void {
  const layersWith = new Map<string, number>();
  for (const [canonical, name] of found) {
    if (!found.has(canonical.replace(/bias$/, 'weight'))) fail(`${name} is a bias without a weight`);
    const inAnyLayer = inLayer(canonical, '*');
    layersWith.set(inAnyLayer, (layersWith.get(inAnyLayer) ?? 0) + 1);
  }
  for (const [canonical, name] of found) {
    const inAnyLayer = inLayer(canonical, '*');
    if (inAnyLayer === canonical || layersWith.get(inAnyLayer) === L) continue;
    const missing = Array.from({ length: L }, (_, n) => inLayer(canonical, n)).find((same) => !found.has(same));
    fail(`found ${name}, but not its counterpart ${missing!}`);
  }
}

function inLayer(canonical: string, layer: number | string): string {
  return canonical.replace(/^transformer_layers\.\d+/, `transformer_layers.${layer}`);
}

/** Joins a list for a message: the first four items and the number of the others. */
export function enumerate(list: readonly string[]): string {
  const shown = list.slice(0, 4).join(', ');
  return list.length > 4 ? `${shown} and ${list.length - 4} more` : shown;
}
