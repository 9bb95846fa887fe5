import { join } from 'node:path';
import type { ModelConfig } from '../../reference/lib/config.js';
import type { Model } from '../../reference/lib/weights.js';
import { makeFolder, writeFileWhole } from '../folder/outputFile.js';
import { namedTensors } from './assemble.js';
import { formatConfig } from './config.js';
import type { LoadReport } from './readModel.js';
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
  return encodeJson({ ...formatConfig(config, assumed), ...more });
}

/** The bytes of a JSON file to read. */
export function encodeJson(json: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`);
}

/** Keys of config.json that say how the weights are stored. A copy has its own. */
const STORAGE_KEYS = ['torch_dtype', 'dtype', 'quantization'];

/**
 * The keys of config.json for a copy of a model: those of the original, also unknown ones, and what shapes or the user
 * added. Nothing that was assumed, and no pad_id outside the vocabulary.
 */
export function copiedConfig({ config, configFile, assumedKeys }: LoadReport): Record<string, unknown> {
  const left = new Set([...assumedKeys, ...STORAGE_KEYS]);
  for (const key of ['architectures', 'model_type']) if (!Object.hasOwn(configFile, key)) left.add(key);
  if (config.padId >= config.vocabSize) left.add('pad_id');
  const known = Object.entries(formatConfig(config));
  return Object.fromEntries(
    [...Object.entries(configFile), ...known.filter(([key]) => key !== 'architectures')].filter(
      ([key]) => !left.has(key),
    ),
  );
}
