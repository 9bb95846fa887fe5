import { InputError } from '../../reference/lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import { plain } from '../lib/quote.js';
import { boundIn, describeBounds } from './bounds.js';
import type { Golden, GoldenTensor } from './golden.js';
import { activationGraph, type GraphNode } from './graph.js';
import { compareElements, originOf, type Row } from './verify.js';

/** The comparison of two golden files. */
export interface FilesReport {
  a: Golden;
  /** The file that counts as the truth. */
  b: Golden;
  /** In order of execution. */
  rows: Row[];
  /** Whether all compared activations have the same values. */
  identical: boolean;
  notes: string[];
  /** Activations that only one of the files has. */
  notCompared: string[];
  first: Row | null;
}

/**
 * Compares two golden files of the same tokens, activation by activation. The second counts as the truth.
 *
 * @throws InputError if they hold other tokens, no activation in common, unknown activations or samples that do not match.
 */
export function compareFiles(a: Golden, b: Golden): FilesReport {
  if (a.header.tokens.join() !== b.header.tokens.join()) {
    throw new InputError(`${a.name} and ${b.name} hold different tokens, so their activations differ anyway`);
  }
  const { graph, note } = graphOf(a, b);
  const nodes = new Map(graph.map((node) => [node.name, node]));
  const names = [...new Set([...a.tensors.keys(), ...b.tensors.keys()])];
  const unknown = names.find((name) => !nodes.has(name));
  if (unknown !== undefined) throw new InputError(`${plain(unknown)} is not an activation of this architecture`);
  const isShared = (name: string): boolean => a.tensors.has(name) && b.tensors.has(name);
  const shared = graph.filter(({ name }) => isShared(name));
  if (shared.length === 0) throw new InputError(`${a.name} and ${b.name} have no activation in common`);
  const disagrees = new Set<string>();
  const both = { tensors: new Map([...b.tensors].filter(([name]) => isShared(name))) };
  const rows = shared.map((node) => {
    const row = rowOf(node, a, b);
    if (row.status === 'OK') return row;
    const origin = originOf(node, nodes, both, disagrees);
    disagrees.add(node.name);
    return { ...row, origin };
  });
  const identical = rows.every(({ difference }) => difference?.max === 0);
  const notes = [...describeBounds(a), ...describeBounds(b), ...(note === null ? [] : [note])];
  return {
    a,
    b,
    rows,
    identical,
    notes: [...new Set(notes)],
    notCompared: names.filter((name) => !isShared(name)),
    first: rows.find(({ status }) => status !== 'OK') ?? null,
  };
}

function rowOf(node: GraphNode, a: Golden, b: Golden): Row {
  const [ours, truth] = [a, b].map(({ tensors }) => tensors.get(node.name)!);
  const bound = Math.max(boundIn(a, node, ours, 'float32'), boundIn(b, node, truth, 'float32'));
  if (show(ours.shape) !== show(truth.shape)) return compareElements(node, ours.shape, null, truth, bound);
  const step = Math.max(ours.step, truth.step);
  const [left, right] = [ours, truth].map((tensor) => every(tensor, step));
  if (!left || !right) {
    throw new InputError(`${plain(node.name)} is sampled at steps of ${ours.step} and ${truth.step}, which never meet`);
  }
  return compareElements(node, ours.shape, left, { ...truth, data: right, step }, bound);
}

/** Every `step`-th element, or null if the tensor holds others. */
function every({ data, step: own, shape }: GoldenTensor, step: number): Float64Array | null {
  if (own === step) return data;
  if (step % own !== 0) return null;
  const count = Math.ceil(sizeOf(shape) / step);
  return Float64Array.from({ length: count }, (_, i) => data[(i * step) / own]);
}

/** The graph that the files' activations belong to. Its layers show in the names, the placement of norms only in the header. */
function graphOf(a: Golden, b: Golden): { graph: GraphNode[]; note: string | null } {
  const names = [...a.tensors.keys(), ...b.tensors.keys()];
  const layers = names.map((name) => Number(/^layers\.(\d{1,4})\./.exec(name)?.[1] ?? -1));
  const nLayer = Math.max(1, layers.reduce((most, n) => Math.max(most, n), 0) + 1);
  const placements = [a, b].map(({ header }) => header.conventions?.norm_position).filter((it) => it !== undefined);
  if (new Set(placements).size > 1) throw new InputError(`${a.name} and ${b.name} place their norms differently`);
  const [normPosition = 'pre'] = placements;
  const hasWeights = names.some((name) => name.endsWith('.attn_weights'));
  const graph = activationGraph({ nLayer, normPosition }, names.includes('final_norm'), hasWeights);
  const note =
    placements.length > 0 ? null : 'assumed: norms before attention, because neither file says where they are';
  return { graph, note };
}
