/** The public API: load a model, generate text, inspect activations. */
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
export { CompactTensor, DTYPES, type CompactDtype, type Dtype } from '../reference/lib/compactTensor.js';
export { formatConfig, parseConfig, PRESETS, type ConfigReport } from './checkpoint/config.js';
export { type ModelConfig } from '../reference/lib/config.js';
export { saveModel } from './checkpoint/saveModel.js';
export {
  inspectModel,
  loadModel,
  type InspectReport,
  type LoadOptions,
  type LoadReport,
} from './checkpoint/loadModel.js';
export { openSafetensors, writeSafetensors, type SafetensorsFile, type TensorInfo } from './checkpoint/safetensors.js';
export { makeCodes, type Codes, type CodeKind, type CodesOptions } from './codes/makeCodes.js';
export type { AffineMap } from './codes/affine.js';
export type { TableReport } from './codes/describeTable.js';
export { CheckpointError, ConfigError, HubError, TokenizerError } from './lib/errors.js';
export { BatchError, DeviceError } from '../accel/errors.js';
export { EmergentError, InputError, ShapeError } from '../reference/lib/errors.js';
export { type Draft, type DraftCosts, type Proposal } from './draft/draft.js';
export { LookupDraft } from './draft/lookup.js';
export { ModelDraft } from './draft/modelDraft.js';
export { DRAFT_NAMES, type DraftName } from './draft/open.js';
export { generateIds, type GenerateOptions } from './generate.js';
export type { HubOptions } from './folder/hub/connection.js';
export { askPrompt, LanguageModel, type GenerateTextOptions, type LanguageModelOptions } from './languageModel.js';
export { demoFolder, load } from './load.js';
export { parsePatch, patchTrace, type HeadColumns, type ParsedPatch, type Patch, type Slice } from './patch.js';
export { argmax, createSampler, type Choice, type SampleOptions, type Sampler } from './sample.js';
export { tensor, type Tensor } from '../reference/lib/tensor.js';
export { buildTokenizer, BVV241, compactLayout, type NgramCounts, type VocabularyLayout } from './tokenizer/build.js';
export { loadTokenizer } from './tokenizer/loadTokenizer.js';
export { Tokenizer } from './tokenizer/tokenizer.js';
export { activationNames, type Trace } from '../reference/lib/trace.js';
export type { BlockWeights, LayerNormWeights, LinearWeights, Model, ModelWeights } from '../reference/lib/weights.js';
