/**
 * The entry for browsers, which reaches no built-in of Node: load a model by URL, generate on whatever computes there.
 * The accelerated backends themselves come in when they are asked for.
 */
import { urlFolder, type UrlFolderOptions } from '../src/checkpoint/urlFolder.js';
import { readLanguageModel, type LanguageModel } from '../src/languageModel.js';

export interface UrlLoadOptions extends UrlFolderOptions {
  /** What shall compute: `auto` unless told. */
  backend?: string | undefined;
}

/**
 * Loads a model folder by URL: `config.json`, `tokenizer.json`, `model.safetensors` or its shards.
 *
 * @param url of the folder; in a browser it may be relative to the page
 * @throws CheckpointError, ConfigError or TokenizerError that names the file and the fault.
 */
export async function load(url: string | URL, options: UrlLoadOptions = {}): Promise<LanguageModel> {
  const { backend, signal } = options;
  return readLanguageModel(urlFolder(url, options), { backend, signal });
}

export {
  BACKEND_NAMES,
  openBackend,
  openSession,
  resolveBackend,
  type Backend,
  type Session,
  type SessionForwardOptions,
} from '../src/backend.js';
export { urlFolder, type UrlFolderOptions } from '../src/checkpoint/urlFolder.js';
export {
  CheckpointError,
  ConfigError,
  DeviceError,
  EmergentError,
  InputError,
  ShapeError,
  TokenizerError,
} from '../src/errors.js';
export { generateIds, type GenerateOptions } from '../src/generate.js';
export { askPrompt, LanguageModel, type GenerateTextOptions } from '../src/languageModel.js';
