import { join } from 'node:path';
import type { ModelConfig } from '../../reference/lib/config.js';
import type { Model } from '../../reference/lib/weights.js';
import { makeFolder, writeFileWhole } from '../folder/outputFile.js';
import { namedTensors } from './assemble.js';
import { formatConfig } from './config.js';
import { writeSafetensors } from './safetensors.js';

/**
 * Writes a model folder: `config.json`, and `model.safetensors` with canonical names in float32.
 *
 * @param assumed keys to leave out of `config.json`, such as a load report's `assumedKeys`
 * @throws CheckpointError if a file cannot be written.
 */
export async function saveModel(
  folder: string,
  { config, weights }: Model,
  assumed: readonly string[] = [],
): Promise<void> {
  await saveConfig(folder, config, {}, assumed);
  await writeSafetensors(join(folder, 'model.safetensors'), namedTensors(weights), { format: 'pt' });
}

/**
 * Creates a model folder and writes its `config.json`.
 *
 * @param more further keys for the file
 * @param assumed keys to leave out, as in {@link formatConfig}
 * @throws CheckpointError if the folder or the file cannot be written.
 */
export async function saveConfig(
  folder: string,
  config: ModelConfig,
  more: Readonly<Record<string, unknown>> = {},
  assumed: readonly string[] = [],
): Promise<void> {
  await makeFolder(folder);
  await writeFileWhole(join(folder, 'config.json'), [encodeConfig(config, more, assumed)]);
}

/** The bytes of a `config.json`; the arguments are those of {@link saveConfig}. */
export function encodeConfig(
  config: ModelConfig,
  more: Readonly<Record<string, unknown>> = {},
  assumed: readonly string[] = [],
): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ ...formatConfig(config, assumed), ...more }, null, 2)}\n`);
}
