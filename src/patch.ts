import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';
import { show, tensor, type Tensor } from '../reference/lib/tensor.js';
import { activationNames, noTrace, type Trace } from '../reference/lib/trace.js';
import type { Model } from '../reference/lib/weights.js';
import { quote } from './lib/quote.js';

/** `start:stop` as in Python: either may be missing, and negative ones count from the end. */
export interface Slice {
  start?: number | undefined;
  stop?: number | undefined;
}

/** One head's columns of `q`, `k`, `v`, `q_rot`, `k_rot` or `attn`. */
export interface HeadColumns {
  head: number;
}

/** An intervention: this part of an activation gets another value, and the pass goes on with it. */
export interface Patch {
  /** The activation, such as `layers.2.attn`. */
  name: string;
  /** Positions of the prompt; all if absent. */
  rows?: Slice | undefined;
  columns?: Slice | HeadColumns | undefined;
  /** A number for every element, or a tensor whose part with the same slices is copied. */
  value: number | Tensor;
}

/** A patch as it is written. Its value may be the name of a source, such as a file. */
export interface ParsedPatch extends Omit<Patch, 'value'> {
  value: number | string;
}

const PATCH = /^([^[\]=]+?)\s*(?:\[([^\]]*)\])?\s*=\s*(.+)$/s;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const FORM = 'NAME[rows, columns]=VALUE, such as "layers.2.attn[:, head 3]=0"';

/** The activations that consist of heads. */
const WITH_HEADS = /\.(?:q|k|v|q_rot|k_rot|attn)$/;

/**
 * Parses `NAME[rows, columns]=VALUE`. Rows and columns are indices or slices as in Python, without a step; columns may also
 * be `head N`. What is left out is taken whole. A value that is not a number is the name of a source.
 *
 * @throws InputError that names the part that is wrong.
 */
export function parsePatch(text: string): ParsedPatch {
  const match = PATCH.exec(text.trim());
  if (!match) throw new InputError(`the patch ${quote(text)} must be ${FORM}`);
  const [, name, , value] = match;
  const inside = match.at(2);
  const patch: ParsedPatch = { name, value: NUMBER.test(value) ? Number(value) : value };
  if (typeof patch.value === 'number' && !Number.isFinite(Math.fround(patch.value))) {
    throw new InputError(`the patch ${quote(text)}: float32 has no number ${value}`);
  }
  if (inside === undefined) return patch;
  const parts = inside.split(',');
  if (parts.length > 2) throw new InputError(`the patch ${quote(text)} has more than rows and columns`);
  patch.rows = parseSlice(parts[0], text);
  if (parts.length === 2) {
    const head = /^\s*head\s+(\d+)\s*$/.exec(parts[1]);
    patch.columns = head ? { head: Number(head[1]) } : parseSlice(parts[1], text);
  }
  return patch;
}

function parseSlice(part: string, text: string): Slice {
  const index = /^\s*(-?\d+)\s*$/.exec(part);
  if (index) {
    const start = Number(index[1]);
    return { start, stop: start === -1 ? undefined : start + 1 };
  }
  const slice = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*$/.exec(part);
  if (!slice) {
    throw new InputError(`the patch ${quote(text)}: ${quote(part.trim())} is no index, slice (2:5) or "head N"`);
  }
  const [start, stop] = [slice.at(1), slice.at(2)].map((bound) => (bound === undefined ? undefined : Number(bound)));
  return { start, stop };
}

/**
 * A trace that applies patches, in their order, to one pass over T tokens from an empty cache. Several may patch one activation.
 * A tensor as value may come from a prompt of another length: each slice is taken in its own tensor, so `[-1]` is the last row
 * of both.
 *
 * @param observe called with every activation as the pass goes on with it
 * @throws InputError, before anything is computed, for an activation that the model does not have or that cannot be replaced,
 *   for slices outside of it, and for a value of another size.
 */
export function patchTrace(patches: readonly Patch[], model: Model, T: number, observe: Trace = noTrace): Trace {
  const { config, weights } = model;
  const names = new Set(activationNames(config, weights.finalNorm !== null));
  const byName = new Map<string, Patch[]>();
  for (const patch of patches) {
    if (patch.name.endsWith('.attn_weights'))
      throw new InputError(`${patch.name} cannot be patched: patch attn instead`);
    if (!names.has(patch.name)) {
      throw new InputError(
        `this model has no activation ${quote(patch.name)} to patch (emergent trace writes them all)`,
      );
    }
    apply(patch, tensor([T, widthOf(patch.name, model)]), config); // complains now rather than within the pass
    byName.set(patch.name, [...(byName.get(patch.name) ?? []), patch]);
  }
  return (name, value) => {
    const own = byName.get(name);
    if (!own) {
      observe(name, value);
      return;
    }
    const patched = tensor(value.shape, value.data.slice());
    for (const patch of own) apply(patch, patched, config);
    observe(name, patched);
    return patched;
  };
}

/** The number of columns of an activation. */
function widthOf(name: string, { config, weights }: Model): number {
  const [, layer, part] = /^layers\.(\d+)\.(ffn_up|ffn_act)$/.exec(name) ?? [];
  if (part) return weights.blocks[Number(layer)].ffnUp.weight.shape[0];
  if (name === 'embedding') return config.nEmbed;
  return name === 'logits' ? config.vocabSize : config.dModel;
}

/** Writes the value into its part of an activation, [T, width]. */
function apply(patch: Patch, target: Tensor, config: ModelConfig): void {
  const to = regionOf(patch, target, config, patch.name);
  const { value } = patch;
  const width = target.shape[1];
  if (typeof value === 'number') {
    for (let r = to.top; r < to.bottom; r++) target.data.fill(value, r * width + to.left, r * width + to.right);
    return;
  }
  if (value.shape.length !== 2 || value.shape[1] !== width) {
    throw new InputError(
      `the value for ${patch.name} has shape ${show(value.shape)}, but it must have ${width} columns`,
    );
  }
  const from = regionOf(patch, value, config, `the value for ${patch.name}`);
  const [rows, wanted] = [from.bottom - from.top, to.bottom - to.top];
  if (rows !== wanted) {
    throw new InputError(`the value for ${patch.name} has ${rows} rows there, but the patch needs ${wanted}`);
  }
  for (let r = 0; r < rows; r++) {
    const start = (from.top + r) * width;
    target.data.set(value.data.subarray(start + from.left, start + from.right), (to.top + r) * width + to.left);
  }
}

interface Region {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

function regionOf({ name, rows, columns }: Patch, { shape }: Tensor, { nHead: H }: ModelConfig, of: string): Region {
  const [top, bottom] = boundsOf(rows, shape[0], of, 'rows');
  if (!columns || !('head' in columns)) {
    const [left, right] = boundsOf(columns, shape[1], of, 'columns');
    return { top, bottom, left, right };
  }
  const { head } = columns;
  if (!WITH_HEADS.test(name)) throw new InputError(`${of} has no heads: q, k, v, q_rot, k_rot and attn have`);
  if (head >= H) throw new InputError(`${of} has heads 0 to ${H - 1}, not ${head}`);
  const D = shape[1] / H;
  return { top, bottom, left: head * D, right: (head + 1) * D };
}

/** The first index of a slice, and the one after its last. Unlike Python's, a slice must lie within and must not be empty. */
function boundsOf({ start, stop }: Slice = {}, size: number, of: string, what: string): [number, number] {
  const [from, to] = [start ?? 0, stop ?? size].map((bound) => (bound < 0 ? bound + size : bound));
  if (from < 0 || to > size || from >= to) {
    const written = `${start ?? ''}:${stop ?? ''}`;
    throw new InputError(`${of} has ${size} ${what}, and the slice ${written} takes none of them or reaches beyond`);
  }
  return [from, to];
}
