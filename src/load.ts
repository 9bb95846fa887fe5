import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HubOptions } from './folder/hub/connection.js';
import { requireKnownOptions, requireOption } from './lib/options.js';
import { readLanguageModel, type LanguageModel, type LanguageModelOptions } from './languageModel.js';
import { openModelFolder } from './folder/openByName.js';

/** The folder of the embedded demo model: next to the sources in a checkout, next to `dist` in the package. */
export function demoFolder(): string {
  const candidates = ['../models/demo', '../../models/demo'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return candidates.find((path) => existsSync(path)) ?? candidates[0];
}

/** Every option of {@link load}. */
const LOAD_OPTIONS: readonly string[] = Object.keys({
  backend: true,
  dtype: true,
  tensorMap: true,
  recorded: true,
  config: true,
  onProgress: true,
  signal: true,
  home: true,
  revision: true,
  onDownload: true,
  onNote: true,
} satisfies Record<keyof (LanguageModelOptions & HubOptions), true>);

/**
 * Loads a model and its tokenizer from a folder on disk or from the Hugging Face Hub.
 *
 * @param model a folder, or `org/name` or `org/name@revision`; default: the embedded demo
 * @throws InputError for an unknown option.
 * @throws CheckpointError, ConfigError, TokenizerError or HubError with a one-line message that names the file and the fault.
 */
export async function load(
  model: string = demoFolder(),
  options: LanguageModelOptions & HubOptions = {},
): Promise<LanguageModel> {
  requireOption(typeof model === 'string', 'the model', 'a folder or an id on the Hub', model);
  requireKnownOptions(options, LOAD_OPTIONS);
  return readLanguageModel(await openModelFolder(model, options), options);
}
