/**
 * The entry for browsers: load a model by URL and generate text. It imports no Node built-ins. Backends are imported when
 * they are first used.
 */
import { keptFolder } from './folder/keptFolder.js';
import { openStore } from './folder/store.js';
import type { LoadOptions } from './checkpoint/readModel.js';
import { requireKnownOptions } from './lib/options.js';
import { urlFolder, type UrlFolderOptions } from './folder/urlFolder.js';
import { readLanguageModel, type LanguageModel } from './languageModel.js';

export interface UrlLoadOptions extends UrlFolderOptions, Pick<LoadOptions, 'dtype' | 'tensorMap'> {
  /** Which backend computes. Default: `auto`. */
  backend?: string | undefined;
  /**
   * Keep the files for the next visit, which then needs no network. They are stored in the Origin Private File System or,
   * if there is none, in the Cache API. Interrupted downloads resume. If the page has no storage, nothing is kept.
   */
  keep?: boolean | undefined;
}

/** Every name in {@link UrlLoadOptions}. */
const LOAD_OPTIONS: readonly string[] = Object.keys({
  backend: true,
  dtype: true,
  tensorMap: true,
  keep: true,
  onProgress: true,
  signal: true,
} satisfies Record<keyof UrlLoadOptions, true>);

/**
 * Loads a model folder by URL: `config.json`, `tokenizer.json`, `model.safetensors` or its shards.
 *
 * @param url the folder; in a browser it may be relative to the page. For a model on the Hugging Face Hub, use
 *   `hubUrl('org/name')`.
 * @throws InputError for an unknown option.
 * @throws CheckpointError, ConfigError or TokenizerError with a one-line message that names the file and the fault.
 */
export async function load(url: string | URL, options: UrlLoadOptions = {}): Promise<LanguageModel> {
  requireKnownOptions(options, LOAD_OPTIONS);
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
  type BatchEntry,
  type Session,
  type SessionForwardOptions,
} from './backend.js';
export { keptFolder, type KeptFolderOptions } from './folder/keptFolder.js';
export { openCacheStore, openFileStore, openStore, type Store } from './folder/store.js';
export { urlFolder, type UrlFolderOptions } from './folder/urlFolder.js';
export { DTYPES, type Dtype } from '../reference/lib/compactTensor.js';
export { CheckpointError, ConfigError, TokenizerError } from './lib/errors.js';
export { BatchError, DeviceError } from '../accel/errors.js';
export { EmergentError, InputError, ShapeError } from '../reference/lib/errors.js';
export { hubUrl } from './folder/hub/id.js';
export { type Draft, type DraftCosts, type Proposal } from './draft/draft.js';
export { LookupDraft } from './draft/lookup.js';
export { ModelDraft } from './draft/modelDraft.js';
export { DRAFT_NAMES, type DraftName } from './draft/open.js';
export { generateIds, type GenerateOptions } from './generate.js';
export { argmax, createSampler, type Choice, type SampleOptions, type Sampler } from './sample.js';
export { askPrompt, LanguageModel, type GenerateTextOptions } from './languageModel.js';
