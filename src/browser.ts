/**
 * The entry for browsers, which reaches no built-in of Node: load a model by URL, generate on whatever computes there.
 * The accelerated backends themselves come in when they are asked for.
 */
import { keptFolder } from './folder/keptFolder.js';
import { openStore } from './folder/store.js';
import type { LoadOptions } from './checkpoint/readModel.js';
import { urlFolder, type UrlFolderOptions } from './folder/urlFolder.js';
import { readLanguageModel, type LanguageModel } from './languageModel.js';

export interface UrlLoadOptions extends UrlFolderOptions, Pick<LoadOptions, 'dtype' | 'tensorMap'> {
  /** What shall compute: `auto` unless told. */
  backend?: string | undefined;
  /**
   * Keep the files for the next visit, which then needs no network: in the Origin Private File System or, where there is
   * none, the Cache API. An interrupted download goes on where it ended. Where a page may keep nothing, nothing is kept.
   */
  keep?: boolean | undefined;
}

/**
 * Loads a model folder by URL: `config.json`, `tokenizer.json`, `model.safetensors` or its shards.
 *
 * @param url of the folder; in a browser it may be relative to the page. `hubUrl('org/name')` is that of a model of the
 *   Hugging Face Hub.
 * @throws CheckpointError, ConfigError or TokenizerError that names the file and the fault.
 */
export async function load(url: string | URL, options: UrlLoadOptions = {}): Promise<LanguageModel> {
  const { keep } = options;
  const store = keep ? await openStore() : null;
  const folder = store ? keptFolder(url, store, options) : urlFolder(url, options);
  const { backend, dtype, tensorMap, signal } = options;
  return readLanguageModel(folder, { backend, dtype, tensorMap, signal });
}

export {
  BACKEND_NAMES,
  openBackend,
  openSession,
  resolveBackend,
  type Backend,
  type Session,
  type SessionForwardOptions,
} from './backend.js';
export { keptFolder, type KeptFolderOptions } from './folder/keptFolder.js';
export { openCacheStore, openFileStore, openStore, type Store } from './folder/store.js';
export { urlFolder, type UrlFolderOptions } from './folder/urlFolder.js';
export { DTYPES, type Dtype } from '../reference/lib/compactTensor.js';
export { CheckpointError, ConfigError, TokenizerError } from './lib/errors.js';
export { DeviceError } from '../accel/errors.js';
export { EmergentError, InputError, ShapeError } from '../reference/lib/errors.js';
export { hubUrl } from './folder/hub/id.js';
export { generateIds, type GenerateOptions } from './generate.js';
export { argmax, createSampler, type SampleOptions, type Sampler } from './sample.js';
export { askPrompt, LanguageModel, type GenerateTextOptions } from './languageModel.js';
