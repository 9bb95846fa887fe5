import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { show } from '../../reference/lib/tensor.js';
import { bufferKind } from './buffers.js';
import { canonicalTensors, type CanonicalTensor } from './canonical.js';
import { checkComplete, enumerate, type Claim } from './complete.js';
import { plain, quote } from '../lib/quote.js';
import { guessRole, surveyLayer, type Module } from './roles.js';

export { canonicalTensors, type CanonicalTensor, type Part } from './canonical.js';

/** From a tensor's name in the file to its canonical name, or to null for one that is to be left out. */
export type TensorMap = Readonly<Record<string, string | null>>;

/** What a tensor of the file is for. */
export type ResolvedTensor = Omit<Claim, 'shape'>;

export interface Resolution {
  tensors: ResolvedTensor[];
  /** Tensors that hold no parameters, with what they are. */
  ignored: { name: string; what: string }[];
  /** What the names and shapes left open and how it was taken. */
  assumptions: string[];
}

/** A tensor as a file describes it. */
export interface Named {
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
  if (config.nLayer > tensors.length) {
    throw new CheckpointError(`${source}: ${tensors.length} tensors cannot make up ${config.nLayer} layers (n_layer)`);
  }
  const canonical = canonicalTensors(config);
  const ignored: Resolution['ignored'] = [];
  const resolved: Claim[] = [];
  const open: Named[] = [];

  const targets = checkMap(map, tensors, canonical, source);
  for (const { name, shape } of tensors) {
    const target = targets.get(name);
    const buffer = bufferKind({ name, shape });
    if (target === null) ignored.push({ name, what: 'left out by the tensor map' });
    else if (target !== undefined) resolved.push({ name, shape, canonical: target, transposed: false, by: 'map' });
    else if (canonical.has(name)) resolved.push({ name, shape, canonical: name, transposed: false, by: 'name' });
    else if (buffer) ignored.push({ name, what: buffer });
    else open.push({ name, shape });
  }
  const guessed = guessAll(open, targets, config);
  resolved.push(...guessed.resolved);

  if (guessed.leftOver.length > 0) {
    const list = guessed.leftOver.map(({ name, shape }) => `${plain(name)} ${show(shape)}`);
    throw new CheckpointError(
      `${source}: no role, or no single one, for ${enumerate(list)}: say what they are with --tensor-map`,
    );
  }
  checkComplete(resolved, canonical, config, source);
  return {
    tensors: resolved.map(({ name, canonical, transposed, by }) => ({ name, canonical, transposed, by })),
    ignored,
    assumptions: assumptionsOf(resolved),
  };
}

function assumptionsOf(resolved: readonly ResolvedTensor[]): string[] {
  const assumptions: string[] = [];
  if (resolved.some(({ canonical }) => canonical.includes('.qkv_proj.'))) {
    assumptions.push('fused projections hold q, k and v in this order');
  }
  if (resolved.some(({ transposed }) => transposed)) {
    assumptions.push('matrices are stored [in, out], as GPT-2 does; the square ones, which do not show it, as well');
  }
  return assumptions;
}

/** A module of the file with the tensors that it was put together from. */
type OpenModule = Module & { prefix: string; tensors: { tensor: Named; kind: 'weight' | 'bias' }[] };

/** Resolves what it can of the tensors that neither the map nor their own name has resolved. */
function guessAll(
  open: readonly Named[],
  targets: ReadonlyMap<string, string | null>,
  config: ModelConfig,
): { resolved: Claim[]; leftOver: Named[] } {
  const resolved: Claim[] = [];
  const { modules, leftOver } = groupByModule(open);
  const modulesOf = new Map<number | null, Module[]>(modules.map(({ layer }) => [layer, []]));
  for (const module of modules) modulesOf.get(module.layer)!.push(module);
  const layers = new Map([...modulesOf].map(([layer, members]) => [layer, surveyLayer(members, config)]));
  for (const module of modules) {
    const mapped = targets.get(`${module.prefix}weight`);
    const role = guessRole(module, layers.get(module.layer)!, config);
    for (const { tensor, kind } of module.tensors) {
      if (mapped?.endsWith('.weight') && kind === 'bias') {
        // its weight has a place in the user's map, and where the weight is, there is the bias
        const canonical = mapped.replace(/weight$/, 'bias');
        resolved.push({ ...tensor, canonical, transposed: false, by: 'map' });
      } else if (role) {
        const place = module.layer === null ? '' : `transformer_layers.${module.layer}.`;
        const transposed = role.transposed && kind === 'weight';
        resolved.push({ ...tensor, canonical: `${place}${role.module}.${kind}`, transposed, by: 'role' });
      } else leftOver.push(tensor);
    }
  }
  return { resolved, leftOver };
}

/** Puts weights and biases together; what is neither is left over. */
function groupByModule(open: readonly Named[]): { modules: OpenModule[]; leftOver: Named[] } {
  const container = layerContainer(open);
  const modules = new Map<string, OpenModule>();
  const leftOver: Named[] = [];
  for (const tensor of open) {
    const match = /^(.*?)([._])(weight|bias|gamma|beta)$/.exec(tensor.name);
    if (!match) {
      leftOver.push(tensor);
      continue;
    }
    const [, name, separator, ending] = match;
    const kind = ending === 'weight' || ending === 'gamma' ? 'weight' : 'bias';
    const place = container === null ? null : placeIn(container, name);
    const module = modules.get(name) ?? {
      name: place?.rest ?? name,
      layer: place?.layer ?? null,
      weight: null,
      bias: null,
      prefix: `${name}${separator}`,
      tensors: [],
    };
    module[kind] = tensor.shape;
    module.tensors.push({ tensor, kind });
    modules.set(name, module);
  }
  return { modules: [...modules.values()], leftOver };
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

/** The user's map, each name in it known on its side. A Map, because a tensor may be called `constructor`. */
function checkMap(
  map: unknown,
  tensors: readonly Named[],
  canonical: ReadonlyMap<string, CanonicalTensor>,
  source: string,
): Map<string, string | null> {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new CheckpointError('tensor map: expected a JSON object from tensor names to canonical names or null');
  }
  const names = new Set(tensors.map(({ name }) => name));
  const targets = new Map(Object.entries(map as TensorMap));
  for (const [name, target] of targets) {
    if (!names.has(name)) throw new CheckpointError(`tensor map: ${source} has no tensor ${quote(name)}`);
    if (target !== null && !canonical.has(target)) {
      throw new CheckpointError(`tensor map: ${quote(target)}, given for ${quote(name)}, is no canonical name`);
    }
  }
  return targets;
}
