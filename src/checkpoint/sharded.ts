import { CheckpointError } from '../lib/errors.js';
import { readJson, type Folder } from '../folder/folder.js';
import { isMapOf, isObject } from '../lib/guards.js';
import { plain, quote } from '../lib/quote.js';
import type { TensorInfo } from './header.js';
import { readSafetensors, type SafetensorsFile } from './reader.js';
import type { TensorStore } from './tensorStore.js';

/**
 * Opens all shards listed in a `model.safetensors.index.json` and checks the index: every tensor must be in the shard that
 * the index names, and no shard may contain any other tensor. Null if the folder has no index.
 *
 * @throws CheckpointError that names the index or the shard and the fault.
 */
export async function openSharded(folder: Folder, indexName: string): Promise<TensorStore | null> {
  const path = folder.pathOf(indexName);
  const index = await readJson(folder, indexName, CheckpointError);
  if (index === undefined) return null;
  const weightMap = parseWeightMap(index, path);
  const shards = new Map<string, SafetensorsFile>();
  const tensors = new Map<string, TensorInfo>();
  async function close(): Promise<void> {
    for (const shard of shards.values()) await shard.close();
  }
  try {
    for (const name of new Set(Object.values(weightMap))) {
      const source = await folder.open(name);
      if (!source) throw new CheckpointError(`${folder.pathOf(name)} does not exist`);
      const shard = await readSafetensors(source);
      shards.set(name, shard);
      for (const [tensor, info] of shard.tensors) {
        if (weightMap[tensor] !== name) {
          throw new CheckpointError(`${shard.name}: ${indexName} does not list tensor ${quote(tensor)} in this shard`);
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
  const shardOf = (tensor: string): SafetensorsFile => shards.get(weightMap[tensor])!;
  return {
    name: path,
    tensors,
    readFloat32: (tensor) => shardOf(tensor).readFloat32(tensor),
    readFloats: (tensor, target, start) => shardOf(tensor).readFloats(tensor, target, start),
    readBytes: (tensor, target) => shardOf(tensor).readBytes(tensor, target),
    close,
  };
}

function parseWeightMap(json: unknown, path: string): Record<string, string> {
  const map = isObject(json) ? json.weight_map : null;
  const entries = isObject(map) ? Object.entries(map) : [];
  if (entries.length === 0) throw new CheckpointError(`${path}: weight_map must map each tensor to its file`);
  if (isMapOf(map, isFileName)) return map;
  const [tensor, file] = entries.find(([, value]) => !isFileName(value))!;
  throw new CheckpointError(
    `${path}: tensor ${quote(tensor)} is mapped to ${quote(file)}, which is not a file in this folder`,
  );
}

function isFileName(value: unknown): value is string {
  return typeof value === 'string' && /^[^/\\\p{C}]+\.safetensors$/u.test(value);
}
