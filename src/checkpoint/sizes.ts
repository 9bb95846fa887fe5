import { bufferKind, ROTARY_FREQUENCIES } from './buffers.js';
import { groupByModule, type FileModule, type Named } from './names.js';
import { isEmbedding, isPosition } from './roles.js';
import { sizeOf } from '../../reference/lib/tensor.js';

/**
 * The sizes of a model that the shapes of its tensors show, as keys of config.json. A size that they leave open is left
 * out: the number of heads, unless the file has rotary frequencies, and block_size, unless it has a causal mask.
 */
export function inferSizes(tensors: readonly Named[]): Record<string, number> {
  const { modules } = groupByModule(tensors.filter((tensor) => bufferKind(tensor) === null));
  const inLayers = modules.filter(({ layer }) => layer !== null);
  const C = onlyOne(inLayers.filter(isNorm).map(({ weight }) => weight![0]));
  const layers = new Set(inLayers.map(({ layer }) => layer));
  const sizes: Record<string, number | null> = {
    n_layer: layers.size > 0 ? layers.size : null,
    d_model: C,
    ...tableSizes(modules, C),
    n_head: headsOf(tensors, C),
    block_size: onlyOne(tensors.filter((x) => bufferKind(x) === 'causal mask').map(({ shape }) => shape.at(-1)!)),
  };
  return Object.fromEntries(Object.entries(sizes).filter((entry): entry is [string, number] => entry[1] !== null));
}

function isNorm({ weight }: FileModule): boolean {
  return weight?.length === 1;
}

/** V and E, from the embedding [V, E] and the head [V, C]: the two matrices outside the layers with the same rows. */
function tableSizes(modules: readonly FileModule[], C: number | null): Record<string, number | null> {
  const tables = modules.filter(
    ({ name, layer, weight }) => layer === null && weight?.length === 2 && !isPosition(name),
  );
  const named = tables.filter(({ name }) => isEmbedding(name));
  const narrow = tables.filter(({ weight }) => weight![1] !== C);
  const embedding = [named, narrow, tables].find((list) => list.length === 1)?.[0] ?? null;
  const allWide = tables.length > 0 && narrow.length === 0;
  return {
    vocab_size: onlyOne(tables.map(({ weight }) => weight![0])),
    n_embed: embedding?.weight?.[1] ?? (allWide ? C : null),
  };
}

/** H: a head of width D has D / 2 rotary frequencies. */
function headsOf(tensors: readonly Named[], C: number | null): number | null {
  const frequencies = tensors.filter((tensor) => bufferKind(tensor) === ROTARY_FREQUENCIES);
  const half = onlyOne(frequencies.map(({ shape }) => sizeOf(shape)));
  return C !== null && half !== null && half > 0 && C % (2 * half) === 0 ? C / (2 * half) : null;
}

/** The number that all are; null if they differ or if there are none. */
function onlyOne(numbers: readonly number[]): number | null {
  return new Set(numbers).size === 1 ? numbers[0] : null;
}
