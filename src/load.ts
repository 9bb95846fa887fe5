import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HubOptions } from './folder/hub/connection.js';
import { readLanguageModel, type LanguageModel, type LanguageModelOptions } from './languageModel.js';
import { openModelFolder } from './folder/openByName.js';

/** Where the embedded demo model lies: beside the sources in a checkout, beside `dist` in the package. */
export function demoFolder(): string {
  const candidates = ['../models/demo', '../../models/demo'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return candidates.find((path) => existsSync(path)) ?? candidates[0];
}

/**
 * Loads a model folder from disk, or a model of the Hugging Face Hub: weights as {@link loadModel} does, and
 * `tokenizer.json`.
 *
 * @param model a folder, or `org/name` or `org/name@revision`; the embedded demo model unless told
 * @throws CheckpointError, ConfigError, TokenizerError or HubError that names the file and the fault.
 */
export async function load(
  model: string = demoFolder(),
  options: LanguageModelOptions & HubOptions = {},
): Promise<LanguageModel> {
  return readLanguageModel(await openModelFolder(model, options), options);
}
