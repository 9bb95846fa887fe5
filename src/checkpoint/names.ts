import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { show } from '../../reference/lib/tensor.js';
import { bufferKind } from './buffers.js';
import { canonicalTensors, type CanonicalTensor } from './canonical.js';
import { checkComplete, enumerate, type Claim } from './complete.js';
import { isObject } from '../lib/guards.js';
import { plain, quote } from '../lib/quote.js';
import { guessRole, surveyLayer, type Module } from './roles.js';

export { canonicalTensors, type CanonicalTensor, type Part } from './canonical.js';

/** Maps names in the file to canonical names, or to null for a tensor to leave out. */
export type TensorMap = Readonly<Record<string, string | null>>;

/** What a recording of the model says about its parameters. Names that the file lacks are passed over. */
export interface RecordedRoles {
  /** From parameter names to canonical names: two for a tied parameter. */
  readonly roles: Readonly<Record<string, string | readonly string[]>>;
  /** The parameters stored as [in, out]. */
  readonly transposed: readonly string[];
}

/** A tensor of the file with its canonical name. */
export type ResolvedTensor = Omit<Claim, 'shape'>;

export interface Resolution {
  tensors: ResolvedTensor[];
  /** Tensors that are not parameters, and what they are. */
  ignored: { name: string; what: string }[];
  /** Assumptions about what names and shapes do not show. */
  assumptions: string[];
}

/** A tensor as a file describes it. */
export interface Named {
  name: string;
  shape: readonly number[];
}

/**
 * Identifies the tensors of a checkpoint: by the user's map, by the roles of a recording, by canonical name, or else by role
 * words, layer number and shape.
 *
 * @param source the name of the file to use in messages
 * @param computed canonical tensors that the file may lack
 * @throws CheckpointError if a tensor is unidentified, missing, claimed twice or of the wrong shape.
 */
export function resolveNames(
  tensors: readonly Named[],
  config: ModelConfig,
  map: TensorMap = {},
  source = 'checkpoint',
  recorded: RecordedRoles = NOTHING_RECORDED,
  computed: readonly string[] = [],
): Resolution {
  if (config.nLayer > tensors.length) {
    throw new CheckpointError(`${source}: ${tensors.length} tensors cannot make up ${config.nLayer} layers (n_layer)`);
  }
  const canonical = canonicalTensors(config);
  const ignored: Resolution['ignored'] = [];
  const resolved: Claim[] = [];
  const unidentified: Named[] = [];

  const targets = checkMap(map, tensors, canonical, source);
  for (const { name, shape } of tensors) {
    const target = targets.get(name);
    const roles = target === undefined ? recordedRolesOf(name, recorded) : [];
    const buffer = bufferKind({ name, shape });
    if (target === null) ignored.push({ name, what: 'left out by the tensor map' });
    else if (target !== undefined) resolved.push({ name, shape, canonical: target, transposed: false, by: 'map' });
    else if (roles.length > 0) {
      const transposed = shape.length === 2 && recorded.transposed.includes(name);
      for (const role of roles) resolved.push({ name, shape, canonical: role, transposed, by: 'recording' });
    } else if (canonical.has(name)) resolved.push({ name, shape, canonical: name, transposed: false, by: 'name' });
    else if (buffer) ignored.push({ name, what: buffer });
    else unidentified.push({ name, shape });
  }
  const guessed = guessAll(unidentified, targets, config);
  for (const claim of guessed.resolved) resolved.push(claim);

  if (guessed.leftOver.length > 0) {
    const list = guessed.leftOver.map(({ name, shape }) => `${plain(name)} ${show(shape)}`);
    throw new CheckpointError(`${source}: cannot identify ${enumerate(list)}: map them with --tensor-map`);
  }
  checkComplete(resolved, canonical, config, source, computed);
  return {
    tensors: resolved.map(({ name, canonical, transposed, by }) => ({ name, canonical, transposed, by })),
    ignored,
    assumptions: assumptionsOf(resolved),
  };
}

const NOTHING_RECORDED: RecordedRoles = { roles: {}, transposed: [] };

function recordedRolesOf(name: string, { roles }: RecordedRoles): readonly string[] {
  if (!Object.hasOwn(roles, name)) return []; // a tensor may be called `constructor`
  return [roles[name]].flat();
}

function assumptionsOf(resolved: readonly ResolvedTensor[]): string[] {
  const assumptions: string[] = [];
  if (resolved.some(({ canonical, by }) => canonical.includes('.qkv_proj.') && by !== 'recording')) {
    assumptions.push('fused projections contain q, k and v in this order');
  }
  if (resolved.some(({ transposed, by }) => transposed && by === 'role')) {
    assumptions.push(
      'matrices are stored as [in, out], like in GPT-2, including square ones, whose shape does not show it',
    );
  }
  return assumptions;
}

/** A module of the file with its tensors. */
export type FileModule = Module & { prefix: string; tensors: { tensor: Named; kind: 'weight' | 'bias' }[] };

/** Guesses the tensors that neither the map nor their own name identifies. */
function guessAll(
  tensors: readonly Named[],
  targets: ReadonlyMap<string, string | null>,
  config: ModelConfig,
): { resolved: Claim[]; leftOver: Named[] } {
  const resolved: Claim[] = [];
  const { modules, leftOver } = groupByModule(tensors);
  const modulesOf = new Map<number | null, Module[]>(modules.map(({ layer }) => [layer, []]));
  for (const module of modules) modulesOf.get(module.layer)!.push(module);
  const layers = new Map([...modulesOf].map(([layer, members]) => [layer, surveyLayer(members, config)]));
  for (const module of modules) {
    const mapped = targets.get(`${module.prefix}weight`);
    const role = guessRole(module, layers.get(module.layer)!, config);
    for (const { tensor, kind } of module.tensors) {
      if (mapped?.endsWith('.weight') && kind === 'bias') {
        // The user's map places the weight of this module, so its bias follows.
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

/** Groups weights and biases by module. Tensors that are neither are left over. */
export function groupByModule(tensors: readonly Named[]): { modules: FileModule[]; leftOver: Named[] } {
  const container = layerContainer(tensors);
  const modules = new Map<string, FileModule>();
  const leftOver: Named[] = [];
  for (const tensor of tensors) {
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

/** The prefix before the layer numbers, such as `transformer.h`: the one that most numbered names share. */
function layerContainer(tensors: readonly Named[]): string | null {
  const counts = new Map<string, number>();
  for (const { name } of tensors) {
    const match = /^(.*?)\.\d+\./.exec(name);
    if (match) counts.set(match[1], (counts.get(match[1]) ?? 0) + 1);
  }
  const byCount = [...counts].sort((a, b) => b[1] - a[1]);
  return byCount.length === 0 ? null : byCount[0][0];
}

function placeIn(container: string, name: string): { layer: number; rest: string } | null {
  const match = /^(\d+)\.(.+)$/.exec(name.startsWith(`${container}.`) ? name.slice(container.length + 1) : '');
  return match && { layer: Number(match[1]), rest: match[2] };
}

/** Checks that the user's map has only existing names. Returns a Map, because a tensor may be called `constructor`. */
function checkMap(
  map: unknown,
  tensors: readonly Named[],
  canonical: ReadonlyMap<string, CanonicalTensor>,
  source: string,
): Map<string, string | null> {
  if (!isObject(map)) {
    throw new CheckpointError('tensor map: expected a JSON object from tensor names to canonical names or null');
  }
  const names = new Set(tensors.map(({ name }) => name));
  const targets = new Map<string, string | null>();
  for (const [name, target] of Object.entries(map)) {
    if (!names.has(name)) throw new CheckpointError(`tensor map: ${source} has no tensor ${quote(name)}`);
    if (target !== null && !(typeof target === 'string' && canonical.has(target))) {
      throw new CheckpointError(`tensor map: ${quote(target)}, given for ${quote(name)}, is not a canonical name`);
    }
    targets.set(name, target);
  }
  return targets;
}
