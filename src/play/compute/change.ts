import { forward } from '../../../reference/index.js';
import { InputError } from '../../../reference/lib/errors.js';
import { rows, tensor, type Floats, type Tensor } from '../../../reference/lib/tensor.js';
import type { Model } from '../../../reference/lib/weights.js';
import { parsePatch, patchTrace, type Patch } from '../../patch.js';
import { probabilitiesOf } from './distribution.js';
import { likeliest } from '../../likeliest.js';
import type { Move } from './protocol.js';

/** A pass whose activations are at hand. */
export interface Pass {
  ids: readonly number[];
  tensors: ReadonlyMap<string, Tensor>;
}

/** What changed after one position; see MovedPosition. Tokens have no texts yet. */
export interface Moved {
  moves: Omit<Move, 'text'>[];
  distance: number;
}

/** The name by which a patch takes its values from the other prompt. */
const OTHER = 'other';

/**
 * The pass over a prompt with patches, compared with the plain one.
 *
 * @param texts patches as `--patch` takes them; the value `other` is the other prompt's activation
 * @param swap two positions whose codes change places, or none
 * @param count how many of the likeliest tokens, before and after, each position has
 * @throws InputError for a patch that does not fit.
 */
export function changedPass(
  model: Model,
  plain: Pass,
  other: Pass | null,
  texts: readonly string[],
  swap: readonly number[],
  count: number,
): Moved[] {
  const patches = [...swapPatches(plain, swap), ...texts.map((text) => resolve(text, other))];
  const after = forward(plain.ids, model, { trace: patchTrace(patches, model, plain.ids.length) });
  const before = plain.tensors.get('logits')!;
  return plain.ids.map((_, t) => moved(rows(before, t, t + 1).data, rows(after, t, t + 1).data, count));
}

function swapPatches({ ids, tensors }: Pass, swap: readonly number[]): Patch[] {
  if (swap.length !== 2) return [];
  const [a, b] = swap;
  const outside = swap.find((t) => t >= ids.length);
  if (outside !== undefined) throw new InputError(`there is no token ${outside} to swap: the prompt has ${ids.length}`);
  const codes = tensors.get('embedding')!;
  const width = codes.shape[1];
  const value = tensor(codes.shape, codes.data.slice());
  value.data.set(rows(codes, a, a + 1).data, b * width);
  value.data.set(rows(codes, b, b + 1).data, a * width);
  return [{ name: 'embedding', value }];
}

function resolve(text: string, other: Pass | null): Patch {
  const { value, ...place } = parsePatch(text);
  if (typeof value === 'number') return { ...place, value };
  if (value !== OTHER) throw new InputError(`the value of a patch must be a number or "${OTHER}" here, not "${value}"`);
  const source = other?.tensors.get(place.name);
  if (!source) throw new InputError(`the other question has no ${place.name}`);
  return { ...place, value: source };
}

function moved(before: Floats, after: Floats, count: number): Moved {
  const [p, q] = [probabilitiesOf(before), probabilitiesOf(after)];
  const ids = [...new Set([...likeliest(after, count), ...likeliest(before, count)])];
  const moves = ids
    .map((id): Omit<Move, 'text'> => {
      return { id, before: p[id], after: q[id], rankBefore: rankOf(before, id), rankAfter: rankOf(after, id) };
    })
    .sort((a, b) => a.rankAfter - b.rankAfter);
  return {
    moves,
    distance: p.reduce((sum, x, id) => sum + Math.abs(x - q[id]), 0) / 2,
  };
}

/** 1 for the token that no other exceeds. */
export function rankOf(logits: Floats, id: number): number {
  let rank = 1;
  for (const x of logits) if (x > logits[id]) rank++;
  return rank;
}
