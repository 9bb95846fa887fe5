import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig, type ModelConfig } from '../config.js';
import { CheckpointError, messageOf } from '../errors.js';
import type { Model } from '../weights.js';
import { namedTensors } from './assemble.js';
import { openFolder } from './diskFolder.js';
import { writeFileWhole } from './nodeFile.js';
import { describeModel, readModel, type LoadOptions, type LoadReport } from './readModel.js';
import { writeSafetensors } from './safetensors.js';

export type { LoadOptions, LoadReport } from './readModel.js';

/**
 * Loads a model folder from disk: `config.json` and `model.safetensors`, or shards with their index. Memory holds the
 * weights and little more.
 *
 * @throws ConfigError or CheckpointError, one line that names the file and the fault.
 */
export async function loadModel(
  folder: string,
  options: LoadOptions = {},
): Promise<{ model: Model; report: LoadReport }> {
  return readModel(await openFolder(folder), options);
}

/**
 * Says what a model folder on disk holds, reading no weights.
 *
 * @throws as {@link loadModel}
 */
export async function inspectModel(folder: string, options: LoadOptions = {}): Promise<LoadReport> {
  return describeModel(await openFolder(folder), options);
}

/**
 * Writes a model folder with canonical names, in float32.
 *
 * @throws CheckpointError if it cannot be written.
 */
export async function saveModel(folder: string, { config, weights }: Model): Promise<void> {
  await saveConfig(folder, config);
  await writeSafetensors(join(folder, 'model.safetensors'), namedTensors(weights), { format: 'pt' });
}

/**
 * Makes a model folder and writes its `config.json`.
 *
 * @param more keys beside those of the model
 * @throws CheckpointError if it cannot be made or written.
 */
export async function saveConfig(
  folder: string,
  config: ModelConfig,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await makeFolder(folder);
  const json = `${JSON.stringify({ ...formatConfig(config), ...more }, null, 2)}\n`;
  await writeFileWhole(join(folder, 'config.json'), [new TextEncoder().encode(json)]);
}

/** @throws CheckpointError if it cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new CheckpointError(`${folder} cannot be made: ${messageOf(error)}`);
  }
}
