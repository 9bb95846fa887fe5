import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { readJson } from '../readJson.js';
import type { Tensor } from '../tensor.js';
import { plain, quote } from './quote.js';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors.js';

/** The tensors of a checkpoint, whether they lie in one file or in several. */
export interface TensorStore {
  /** What messages call it. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readFloat32(name: string): Promise<Tensor>;
  close(): Promise<void>;
}

/**
 * Opens all shards that a `model.safetensors.index.json` names and checks that it tells the truth: every tensor lies in
 * the shard that the index says, and no shard holds another.
 *
 * @throws CheckpointError that names the index or the shard and the fault.
 */
export async function openSharded(folder: string, indexName: string): Promise<TensorStore> {
  const path = join(folder, indexName);
  const weightMap = await readWeightMap(path);
  const shards = new Map<string, SafetensorsFile>();
  const tensors = new Map<string, TensorInfo>();
  async function close(): Promise<void> {
    for (const shard of shards.values()) await shard.close();
  }
  try {
    for (const name of new Set(Object.values(weightMap))) {
      const shard = await openSafetensors(join(folder, name));
      shards.set(name, shard);
      for (const [tensor, info] of shard.tensors) {
        if (weightMap[tensor] !== name) {
          throw new CheckpointError(
            `${shard.name}: tensor ${quote(tensor)} is not in this shard according to ${indexName}`,
          );
        }
        tensors.set(tensor, info);
      }
    }
    for (const [tensor, name] of Object.entries(weightMap)) {
      if (!tensors.has(tensor)) throw new CheckpointError(`${path}: tensor ${quote(tensor)} is not in ${plain(name)}`);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: path,
    tensors,
    readFloat32: (tensor) => shards.get(weightMap[tensor])!.readFloat32(tensor),
    close,
  };
}

async function readWeightMap(path: string): Promise<Record<string, string>> {
  const json = await readJson(path, CheckpointError);
  const map = (json as { weight_map?: unknown } | null | undefined)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    throw new CheckpointError(`${path}: weight_map must say for each tensor which file it is in`);
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^[^/\\\p{C}]+\.safetensors$/u.test(file)) {
      throw new CheckpointError(
        `${path}: tensor ${quote(tensor)} is said to be in ${quote(file)}, which is no file of this folder`,
      );
    }
  }
  return map as Record<string, string>;
}
