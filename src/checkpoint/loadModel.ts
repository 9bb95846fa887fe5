import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig } from './config.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { HubOptions } from '../folder/hub/connection.js';
import { openModelFolder } from '../folder/openByName.js';
import type { LoadedModel } from '../../accel/session.js';
import type { Model } from '../../reference/lib/weights.js';
import { namedTensors } from './assemble.js';
import { writeFileWhole } from '../folder/nodeFile.js';
import { describeModel, readModel, type LoadOptions, type LoadReport } from './readModel.js';
import { writeSafetensors } from './safetensors.js';

export type { LoadOptions, LoadReport } from './readModel.js';

/**
 * Loads the weights of a model folder on disk, `config.json` and `model.safetensors` or shards with their index, or of a
 * model of the Hugging Face Hub. Memory holds the weights and little more.
 *
 * @param model a folder, or `org/name` or `org/name@revision`
 * @throws ConfigError, CheckpointError or HubError, one line that names the file and the fault.
 */
export async function loadModel(
  model: string,
  options: LoadOptions & HubOptions = {},
): Promise<{ model: LoadedModel; report: LoadReport }> {
  return readModel(await openModelFolder(model, options), options);
}

/**
 * Says what a model folder on disk or a model of the Hugging Face Hub holds, reading no weights.
 *
 * @throws as {@link loadModel}
 */
export async function inspectModel(model: string, options: LoadOptions & HubOptions = {}): Promise<LoadReport> {
  return describeModel(await openModelFolder(model, options), options);
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
