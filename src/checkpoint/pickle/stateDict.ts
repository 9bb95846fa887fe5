import { CheckpointError } from '../../lib/errors.js';
import { plain, quote } from '../../lib/quote.js';
import { enumerate } from '../complete.js';
import { StoredTensor } from './tensors.js';
import type { PickleDict, PickleValue } from './unpickle.js';

/** Keys under which training programs keep the state dict of the model, the likeliest first. */
const WRAPPERS = ['model_state_dict', 'state_dict', 'model', 'module', 'model_state', 'net', 'network', 'weights'];
const MAX_WRAPPERS = 8;

/** Modules that wrap others without being part of the model: torch.compile, FSDP, activation checkpointing. */
const TRANSPARENT = /(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\./g;

/** Keys under which training programs keep the configuration of the model. */
const CONFIGS = ['config', 'model_args', 'model_config', 'hparams', 'hyper_parameters', 'args'];

export interface StateDict {
  tensors: Map<string, StoredTensor>;
  /** The configuration beside the state dict: those of its entries that JSON can express. Null if there is none. */
  config: Record<string, unknown> | null;
  /** What was done to get here, for the user. */
  notes: string[];
}

/**
 * Finds the state dict in what a file contains, and takes from its names what all have in common.
 *
 * @param source the name of the file to use in messages
 * @throws CheckpointError if there is none, or if there are several.
 */
export function findStateDict(value: PickleValue, source: string): StateDict {
  const path: string[] = [];
  let dict = value;
  let config: StateDict['config'] = null;
  while (dict instanceof Map && path.length < MAX_WRAPPERS) {
    config ??= configIn(dict);
    const inner = innerKey(dict, source);
    if (inner === null) break;
    path.push(inner);
    dict = dict.get(inner)!;
  }
  if (!(dict instanceof Map) || !hasTensors(dict)) {
    throw new CheckpointError(
      `${source} has no state dict, which is a dict from names to tensors: save model.state_dict() in Python`,
    );
  }
  const named = [...dict].filter((entry): entry is [string, StoredTensor] => entry[1] instanceof StoredTensor);
  const notes = path.length > 0 ? [`read the state dict under ${path.map(plain).join('.')}`] : [];
  const others = [...dict.keys()].filter((key) => !(dict.get(key) instanceof StoredTensor));
  if (others.length > 0)
    notes.push(
      `ignored what is no tensor: ${enumerate(others.map((key) => (typeof key === 'string' ? plain(key) : quote(key))))}`,
    );
  return { tensors: renamed(named, notes, source), config, notes };
}

function hasTensors(dict: PickleDict): boolean {
  return [...dict.values()].some((value) => value instanceof StoredTensor);
}

/** The key under which the state dict is; null if this dict is the state dict or has none. */
function innerKey(dict: PickleDict, source: string): string | null {
  const wrapper = WRAPPERS.find((key) => leadsToTensors(dict.get(key)));
  if (wrapper !== undefined) return wrapper;
  if (hasTensors(dict)) return null;
  const keys = [...dict.keys()].filter((key) => typeof key === 'string' && leadsToTensors(dict.get(key))) as string[];
  if (keys.length > 1) {
    throw new CheckpointError(
      `${source} has several state dicts, ${enumerate(keys.map(plain))}: save the one to read under the key model`,
    );
  }
  return keys[0] ?? null;
}

/** Whether a dict has tensors, itself or under wrappers. Dicts can contain each other, so each is looked at once. */
function leadsToTensors(value: PickleValue | undefined, seen = new Set<PickleDict>()): boolean {
  if (!(value instanceof Map) || seen.has(value)) return false;
  seen.add(value);
  return hasTensors(value) || WRAPPERS.some((key) => leadsToTensors(value.get(key), seen));
}

/** Takes transparent modules out of the names, and then whatever first part all names share. */
function renamed(
  named: readonly (readonly [string, StoredTensor])[],
  notes: string[],
  source: string,
): StateDict['tensors'] {
  const tensors = new Map<string, StoredTensor>();
  let names = named.map(([name]) => {
    if (typeof name !== 'string') throw new CheckpointError(`${source}: a tensor has the name ${quote(name)}`);
    return name.replaceAll(TRANSPARENT, '$1');
  });
  let prefix = '';
  for (;;) {
    const first = /^[^.]*\./.exec(names[0])?.[0];
    if (first === undefined || !names.every((name) => name.startsWith(first) && name.length > first.length)) break;
    if (new Set(names.map((name) => name.split('.')[1])).size === 1 && names.length === 1) break;
    prefix += first;
    names = names.map((name) => name.slice(first.length));
  }
  if (prefix !== '') notes.push(`took ${plain(prefix)} off all names`);
  names.forEach((name, i) => {
    if (tensors.has(name)) throw new CheckpointError(`${source}: two tensors are called ${quote(name)}`);
    tensors.set(name, named[i][1]);
  });
  return tensors;
}

/** The first dict of plain values that is called like a configuration. */
function configIn(dict: PickleDict): Record<string, unknown> | null {
  for (const key of CONFIGS) {
    const found = dict.get(key);
    if (!(found instanceof Map)) continue;
    const entries = [...found].filter(([name, value]) => typeof name === 'string' && isScalar(value));
    if (entries.length > 0) return Object.fromEntries(entries as [string, unknown][]);
  }
  return null;
}

function isScalar(value: PickleValue): boolean {
  return value === null || ['boolean', 'number', 'string'].includes(typeof value);
}
