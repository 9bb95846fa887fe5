import type { ModelConfig } from '../config.js';
import { CheckpointError } from '../errors.js';
import { show, sizeOf } from '../tensor.js';
import { guessRole, type Module } from './roles.js';

/** From a tensor's name in the file to its canonical name, or to null for one that is to be left out. */
export type TensorMap = Readonly<Record<string, string | null>>;

/** A part of the model, for counting its parameters. */
export type Part = 'embedding' | 'attention' | 'feed-forward' | 'norms' | 'head';

/** A tensor that a model of this architecture has or may have. */
export interface CanonicalTensor {
  name: string;
  shape: readonly number[];
  /** The shape in letters: `4C x C`. */
  letters: string;
  part: Part;
  required: boolean;
}

/** What a tensor of the file is for. */
export interface ResolvedTensor {
  name: string;
  canonical: string;
  /** Stored [in, out], to be turned round when it is read. */
  transposed: boolean;
}

export interface Resolution {
  tensors: ResolvedTensor[];
  /** Tensors that hold no parameters, with what they are. */
  ignored: { name: string; what: string }[];
  /** What the names and shapes left open and how it was taken. */
  assumptions: string[];
}

/** Every tensor that a model of this configuration can have, by canonical name. Fused qkv stands beside q, k and v. */
export function canonicalTensors(config: ModelConfig): Map<string, CanonicalTensor> {
  const { vocabSize: V, nEmbed: E, dModel: C, nLayer: L } = config;
  const table = new Map<string, CanonicalTensor>();
  function put(name: string, shape: number[], letters: string, part: Part, required: boolean): void {
    table.set(name, { name, shape, letters, part, required });
  }
  function linear(name: string, N: number, K: number, letters: string, part: Part, required = true): void {
    put(`${name}.weight`, [N, K], letters, part, required);
    put(`${name}.bias`, [N], letters.split(' ')[0], part, false);
  }
  function norm(name: string, required: boolean): void {
    put(`${name}.weight`, [C], 'C', 'norms', required);
    put(`${name}.bias`, [C], 'C', 'norms', false);
  }
  put('token_embeddings.weight', [V, E], 'V x E', 'embedding', true);
  for (let n = 0; n < L; n++) {
    const layer = `transformer_layers.${n}`;
    norm(`${layer}.input_layernorm`, true);
    for (const x of ['q', 'k', 'v', 'o']) linear(`${layer}.self_attn.${x}_proj`, C, C, 'C x C', 'attention');
    linear(`${layer}.self_attn.qkv_proj`, 3 * C, C, '3C x C', 'attention', false);
    norm(`${layer}.post_attention_layernorm`, true);
    linear(`${layer}.ffn.0`, 4 * C, C, '4C x C', 'feed-forward');
    linear(`${layer}.ffn.2`, C, 4 * C, 'C x 4C', 'feed-forward');
  }
  norm('final_layernorm', false);
  linear('lm_head', V, C, 'V x C', 'head');
  return table;
}

interface Named {
  name: string;
  shape: readonly number[];
}

/**
 * Finds out which tensor of a checkpoint is which, whatever they are called: by the user's map, by canonical name, else
 * by role words, layer number and shape.
 *
 * @param source what messages call the file
 * @throws CheckpointError if a tensor is left over, missing, claimed twice or of the wrong shape.
 */
export function resolveNames(
  tensors: readonly Named[],
  config: ModelConfig,
  map: TensorMap = {},
  source = 'checkpoint',
): Resolution {
  const canonical = canonicalTensors(config);
  const assumptions: string[] = [];
  const ignored: Resolution['ignored'] = [];
  const resolved: (ResolvedTensor & Named)[] = [];
  const open: Named[] = [];

  checkMap(map, tensors, canonical, source);
  for (const tensor of tensors) {
    const target = map[tensor.name] ?? (canonical.has(tensor.name) ? tensor.name : undefined);
    const buffer = bufferKind(tensor);
    if (map[tensor.name] === null) ignored.push({ name: tensor.name, what: 'left out by the tensor map' });
    else if (target !== undefined) resolved.push({ ...tensor, canonical: target, transposed: false });
    else if (buffer) ignored.push({ name: tensor.name, what: buffer });
    else open.push(tensor);
  }
  const leftOver = guessAll(open, config, resolved);

  if (leftOver.length > 0) {
    const list = leftOver.map(({ name, shape }) => `${name} ${show(shape)}`);
    throw new CheckpointError(
      `${source}: no role, or no single one, for ${enumerate(list)}: say what they are with --tensor-map`,
    );
  }
  checkComplete(resolved, canonical, config, source);
  if (resolved.some((tensor) => tensor.canonical.includes('.qkv_proj.'))) {
    assumptions.push('fused projections hold q, k and v in this order');
  }
  if (resolved.some((tensor) => tensor.transposed)) {
    assumptions.push('matrices are stored [in, out], as GPT-2 does; the square ones, which do not show it, as well');
  }
  return {
    tensors: resolved.map(({ name, canonical, transposed }) => ({ name, canonical, transposed })),
    ignored,
    assumptions,
  };
}

/** Resolves what it can; returns the tensors for which there is no role. */
function guessAll(open: readonly Named[], config: ModelConfig, resolved: (ResolvedTensor & Named)[]): Named[] {
  const container = layerContainer(open);
  const modules = new Map<string, Module & { tensors: { tensor: Named; kind: 'weight' | 'bias' }[] }>();
  const leftOver: Named[] = [];
  for (const tensor of open) {
    const match = /^(.*?)[._](weight|bias|gamma|beta)$/.exec(tensor.name);
    if (!match) {
      leftOver.push(tensor);
      continue;
    }
    const kind = match[2] === 'weight' || match[2] === 'gamma' ? 'weight' : 'bias';
    const place = container === null ? null : placeIn(container, match[1]);
    const module = modules.get(match[1]) ?? {
      name: place?.rest ?? match[1],
      layer: place?.layer ?? null,
      weight: null,
      bias: null,
      tensors: [],
    };
    module[kind] = tensor.shape;
    module.tensors.push({ tensor, kind });
    modules.set(match[1], module);
  }
  const all = [...modules.values()];
  for (const module of all) {
    const role = guessRole(
      module,
      all.filter(({ layer }) => layer === module.layer),
      config,
    );
    for (const { tensor, kind } of module.tensors) {
      if (!role) leftOver.push(tensor);
      else {
        const prefix = module.layer === null ? '' : `transformer_layers.${module.layer}.`;
        const transposed = role.transposed && kind === 'weight';
        resolved.push({ ...tensor, canonical: `${prefix}${role.module}.${kind}`, transposed });
      }
    }
  }
  return leftOver;
}

/** What stands before the layer numbers: the prefix, such as `transformer.h`, that most numbered names share. */
function layerContainer(tensors: readonly Named[]): string | null {
  const counts = new Map<string, number>();
  for (const { name } of tensors) {
    const match = /^(.*?)\.\d+\./.exec(name);
    if (match) counts.set(match[1], (counts.get(match[1]) ?? 0) + 1);
  }
  const [best] = [...counts].sort((a, b) => b[1] - a[1]);
  return counts.size === 0 ? null : best[0];
}

function placeIn(container: string, name: string): { layer: number; rest: string } | null {
  const match = /^(\d+)\.(.+)$/.exec(name.startsWith(`${container}.`) ? name.slice(container.length + 1) : '');
  return match && { layer: Number(match[1]), rest: match[2] };
}

/** What modules register beside their parameters; null for what may be a parameter. */
function bufferKind({ name, shape }: Named): string | null {
  if (/(^|[._])inv_freq$/.test(name)) return 'rotary frequencies';
  if (/(^|[._])(cos|sin)(_cached|_cache)?$/.test(name) && shape.length >= 2) return 'rotary table';
  if (/(^|\.)(position_ids|masked_bias)$/.test(name)) return 'buffer';
  const square = shape.length >= 2 && shape.at(-1) === shape.at(-2) && sizeOf(shape) === shape.at(-1)! ** 2;
  const isMask = /(^|[._])(mask|tril|causal_mask|attn_mask)$/.test(name) || name.endsWith('.attn.bias');
  return isMask && square ? 'causal mask' : null;
}

function checkMap(
  map: unknown,
  tensors: readonly Named[],
  canonical: ReadonlyMap<string, CanonicalTensor>,
  source: string,
): void {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new CheckpointError('tensor map: expected a JSON object from tensor names to canonical names or null');
  }
  const names = new Set(tensors.map(({ name }) => name));
  for (const [name, target] of Object.entries(map as TensorMap)) {
    if (!names.has(name)) throw new CheckpointError(`tensor map: ${source} has no tensor "${name}"`);
    if (target !== null && !canonical.has(target)) {
      throw new CheckpointError(`tensor map: ${JSON.stringify(target)}, given for "${name}", is no canonical name`);
    }
  }
}

/** Every required tensor once, none twice, all of the right shape, and every layer with the same optional ones. */
function checkComplete(
  resolved: readonly (ResolvedTensor & Named)[],
  canonical: ReadonlyMap<string, CanonicalTensor>,
  { nLayer: L }: ModelConfig,
  source: string,
): void {
  const found = new Map<string, string>();
  for (const tensor of resolved) {
    const { name, shape, transposed } = tensor;
    const expected = canonical.get(tensor.canonical);
    if (!expected)
      throw new CheckpointError(
        `${source}: ${name} is in layer ${name.replace(/\D*(\d+).*/, '$1')}, but n_layer is ${L}`,
      );
    const other = found.get(tensor.canonical);
    if (other !== undefined) {
      throw new CheckpointError(
        `${source}: both ${other} and ${name} look like ${tensor.canonical}: say what they are with --tensor-map`,
      );
    }
    found.set(tensor.canonical, name);
    const oriented = transposed ? shape.toReversed() : shape;
    if (show(oriented) !== show(expected.shape)) {
      const is = name === tensor.canonical ? '' : ` (${tensor.canonical})`;
      throw new CheckpointError(
        `${source}: ${name}${is} is ${show(shape)}, expected ${show(expected.shape)} (${expected.letters})`,
      );
    }
  }
  for (const [name, fused] of found) {
    const separate = found.get(name.replace('.qkv_proj.', '.q_proj.'));
    if (name.includes('.qkv_proj.') && separate !== undefined) {
      throw new CheckpointError(`${source}: ${fused} holds q, k and v, but there is ${separate} as well`);
    }
  }
  const missing = [...canonical.values()].filter(({ name, required }) => required && !isThere(name, found));
  if (missing.length > 0) {
    const list = missing.map(({ name, shape }) => `${name} ${show(shape)}`);
    throw new CheckpointError(`${source}: nothing found for ${enumerate(list)}`);
  }
  for (const name of found.keys()) {
    const weight = name.replace(/bias$/, 'weight');
    if (!found.has(weight)) throw new CheckpointError(`${source}: ${found.get(name)!} has no weight beside it`);
    const lacking = Array.from({ length: L }, (_, n) => name.replace(/^(transformer_layers)\.\d+/, `$1.${n}`)).find(
      (same) => !found.has(same),
    );
    if (lacking !== undefined) {
      throw new CheckpointError(`${source}: ${found.get(name)!} has no counterpart for ${lacking}`);
    }
  }
}

/** q, k and v may come fused. */
function isThere(name: string, found: ReadonlyMap<string, string>): boolean {
  return found.has(name) || found.has(name.replace(/\.[qkv]_proj\./, '.qkv_proj.'));
}

function enumerate(list: readonly string[]): string {
  const shown = list.slice(0, 4).join(', ');
  return list.length > 4 ? `${shown} and ${list.length - 4} more` : shown;
}
