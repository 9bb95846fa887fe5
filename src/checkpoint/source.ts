import { CheckpointError, ConfigError } from '../lib/errors.js';
import { isObject } from '../lib/guards.js';
import { readJson, type Folder } from '../folder/folder.js';
import { missingKeys, parseConfig, type ConfigReport } from './config.js';
import { parseComputedCodes, type ComputedCodes } from './computedTable.js';
import { withKeys } from './configKeys.js';
import { parseQuantization, type Quantization } from './quantized.js';
import { readSafetensors } from './reader.js';
import { openSharded } from './sharded.js';
import { inferSizes } from './sizes.js';
import type { TensorStore } from './tensorStore.js';

/** Where a model is: its configuration and its weights. A model folder is one. */
export interface CheckpointSource {
  /** The name to use in messages. */
  readonly name: string;
  /** The name of the configuration to use in messages. */
  readonly configName: string;
  /** Reads the configuration; undefined if there is none. */
  readConfig(): Promise<unknown>;
  openWeights(): Promise<TensorStore>;
}

/** An open checkpoint with its configuration, which is `configFile` with the user's keys. */
export interface OpenCheckpoint extends ConfigReport {
  quantization: Quantization | null;
  /** How codes are computed without a table; null if config.json does not say. */
  codes: ComputedCodes | null;
  configFile: Readonly<Record<string, unknown>>;
  weights: TensorStore;
}

export function folderSource(folder: Folder): CheckpointSource {
  return {
    name: folder.name,
    configName: folder.pathOf('config.json'),
    readConfig: () => readJson(folder, 'config.json', ConfigError),
    openWeights: () => openWeights(folder),
  };
}

/**
 * Reads the configuration and opens the weights. A bad configuration fails before weights are downloaded, unless their
 * shapes can complete it.
 *
 * @param keys keys of config.json that replace those of the file
 * @param check throws if the weights should not be opened
 * @throws ConfigError or CheckpointError that names the file and the fault.
 */
export async function openCheckpoint(
  source: CheckpointSource,
  keys: Readonly<Record<string, unknown>>,
  check: (quantization: Quantization | null) => void,
): Promise<OpenCheckpoint> {
  const { configName } = source;
  const hasKeys = Object.keys(keys).length > 0;
  let json = await source.readConfig();
  if (json === undefined && !hasKeys) throw new ConfigError(`${configName} does not exist`);
  json ??= {};
  if (hasKeys && isObject(json)) json = withKeys(json, keys);
  const quantization = parseQuantization(json, configName);
  check(quantization);
  const configFile = json as Readonly<Record<string, unknown>>;
  if (missingKeys(json, configName).length === 0) {
    const report = parseConfig(json, configName);
    const codes = parseComputedCodes(json, report.config, configName);
    return { ...report, quantization, codes, configFile, weights: await source.openWeights() };
  }
  const weights = await source.openWeights();
  try {
    const sizes = quantization ? {} : inferSizes([...weights.tensors.values()]);
    const report = parseConfig(json, configName, sizes);
    const codes = parseComputedCodes(json, report.config, configName);
    return { ...report, quantization, codes, configFile, weights };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

async function openWeights(folder: Folder): Promise<TensorStore> {
  const single = 'model.safetensors';
  const index = 'model.safetensors.index.json';
  const source = await folder.open(single);
  if (source) return readSafetensors(source);
  const sharded = await openSharded(folder, index);
  if (sharded) return sharded;
  const pickled = folder.files?.find((file) => /\.(bin|pt|pth|ckpt)$/.test(file));
  if (pickled !== undefined) {
    throw new CheckpointError(
      `${folder.pathOf(pickled)} is a Python pickle, which can run code when read: emergent import ${pickled} --out DIR ` +
        'reads it without running it',
    );
  }
  throw new CheckpointError(`${folder.name} has neither ${single} nor ${index}`);
}
