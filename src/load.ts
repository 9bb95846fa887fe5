import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openFolder } from './checkpoint/diskFolder.js';
import { readLanguageModel, type LanguageModel, type LanguageModelOptions } from './languageModel.js';

/** Where the embedded demo model lies: beside the sources in a checkout, beside `dist` in the package. */
export function demoFolder(): string {
  const candidates = ['../models/demo', '../../models/demo'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return candidates.find((path) => existsSync(path)) ?? candidates[0];
}

/**
 * Loads a model folder from disk: weights as {@link loadModel} does, and `tokenizer.json`.
 *
 * @param folder the embedded demo model unless told
 * @throws CheckpointError, ConfigError or TokenizerError that names the file and the fault.
 */
export async function load(folder: string = demoFolder(), options: LanguageModelOptions = {}): Promise<LanguageModel> {
  return readLanguageModel(await openFolder(folder), options);
}
