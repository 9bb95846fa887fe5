import { setFlagsFromString } from 'node:v8';
import { Option, type Command } from 'commander';
import { BACKEND_NAMES, MAX_THREADS, openWeightsHome, resolveBackend, type LoadedModel } from '../backend.js';
import { readModel, type LoadOptions, type LoadReport } from '../checkpoint/readModel.js';
import { canonicalKey, KEYS, withKeys } from '../checkpoint/configKeys.js';
import type { RecordedRoles, TensorMap } from '../checkpoint/names.js';
import { DTYPES, GROUP, type Dtype } from '../../reference/lib/compactTensor.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readJsonFile } from '../folder/jsonFile.js';
import { isObject } from '../lib/guards.js';
import { LanguageModel } from '../languageModel.js';
import { demoFolder } from '../load.js';
import { openModelFolder } from '../folder/openByName.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { integer } from './numbers.js';
import { note, progressBar } from './output.js';

/** Which model, and how to load it. */
export interface ModelFlags {
  model: string;
  revision?: string;
  tensorMap?: string;
  config?: string[];
  dtype?: Dtype;
}

/** Which backend computes. */
export interface BackendFlags {
  backend: string;
  threads?: number;
}

/** The backend that the flags come to. */
export interface ChosenBackend {
  /** Names one backend, never `auto` or `gpu`. */
  name: string;
  /** Why it was chosen, if the user should see that. */
  reason?: string | undefined;
}

/** Options of commands that load a model. */
export function addModelOptions(command: Command): Command {
  return addModelSource(command).addOption(dtypeOption());
}

/** Options that say where weights come from. */
export function addModelSource(command: Command): Command {
  return addWeightsOptions(addModelName(command));
}

/** Options that say what the files of a model leave open. */
export function addWeightsOptions(command: Command): Command {
  return command
    .option(
      '--tensor-map <file>',
      'JSON object that maps tensor names to canonical names, or to null to ignore a tensor',
    )
    .option(
      '--config <file|key=value>',
      'keys that replace those of config.json: a JSON file, or one key (repeatable)',
      (text: string, former?: string[]) => [...(former ?? []), text],
    );
}

/** Options that name a model folder or a model on the Hub. {@link openModelFolderOf} opens it. */
export function addModelName(command: Command): Command {
  const option = new Option(
    '--model <model>',
    'model folder, or org/name or org/name@revision on the Hugging Face Hub',
  );
  return command
    .addOption(option.default(demoFolder(), 'the embedded demo'))
    .option('--revision <name>', 'branch, tag or commit of a model on the Hugging Face Hub');
}

/** The option for the number format of the linear weights. */
export function dtypeOption(): Option {
  return new Option('--dtype <name>', 'number format for the weights of linear layers').choices(DTYPES);
}

/** Options of commands that compute. {@link chooseBackend} resolves them. */
export function addBackendOption(command: Command): Command {
  return command
    .addOption(new Option('--backend <name>', 'what computes').choices([...BACKEND_NAMES]).default('auto'))
    .option('--threads <n>', 'number of simd threads (default: all cores)', integer(1, MAX_THREADS));
}

/** Opens the folder of the model. Weights on the Hub are downloaded only when they are read. */
export async function openModelFolderOf({ model, revision }: ModelFlags): Promise<Folder> {
  return openModelFolder(model, { revision, onDownload: downloadBar(), onNote: note });
}

/**
 * Resolves the backend. Call this before opening the model, so that a bad option fails before a download starts.
 *
 * @throws InputError for a bad number of threads, DeviceError if no GPU.js backend works.
 */
export async function chooseBackend({ backend, threads }: BackendFlags): Promise<ChosenBackend> {
  const reasons: string[] = [];
  const name = await resolveBackend(backend, (line) => reasons.push(line));
  const isShown = backend !== 'auto' || process.stderr.isTTY; // in a pipe, the result says which backend `auto` is
  const reason = isShown ? reasons[0] : undefined;
  if (name === 'simd') allowRelaxedSimd();
  if (threads === undefined) return { name, reason };

  if (name !== 'simd') throw new InputError(`--threads needs simd, but the backend is ${name}`);
  return { name: await resolveBackend(`simd:${threads}`), reason };
}

/** Turns on relaxed SIMD, which Node 20 hides behind a flag. It multiplies and adds in one instruction: prompts are faster. */
function allowRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
}

/** Loads the weights of a model. Shows progress on a terminal, and warnings on stderr. */
export async function openModel(
  folder: Folder,
  flags: ModelFlags,
  backend?: ChosenBackend,
  recorded?: RecordedRoles,
): Promise<{ model: LoadedModel; report: LoadReport }> {
  const loaded = await readModel(folder, { ...(await loadOptions(flags, backend)), recorded });
  for (const warning of loaded.report.warnings) note(`warning: ${warning}`);
  if (flags.dtype) note(describeDtype(loaded.report));
  if (backend?.reason !== undefined) note(backend.reason);
  return loaded;
}

/** Chooses the backend, then loads the tokenizer and the weights. The tokenizer comes first because it fails faster. */
export async function openLanguageModel(flags: ModelFlags & BackendFlags): Promise<LanguageModel> {
  const backend = await chooseBackend(flags);
  const folder = await openModelFolderOf(flags);
  const tokenizer = await openTokenizer(folder);
  const { model, report } = await openModel(folder, flags, backend);
  return new LanguageModel(model, tokenizer, report, backend.name);
}

/** Reads the tokenizer of a model and shows its warnings. */
export async function openTokenizer(folder: Folder): Promise<Tokenizer> {
  const tokenizer = await readTokenizer(folder);
  for (const warning of tokenizer.warnings) note(`warning: ${warning}`);
  return tokenizer;
}

/** The options for {@link readModel}. */
export async function loadOptions(
  { tensorMap, config, dtype }: ModelFlags,
  backend?: ChosenBackend,
): Promise<LoadOptions> {
  const home = backend && (await openWeightsHome(backend.name));
  const options: LoadOptions = { onProgress: progressBar('loading'), dtype, home };
  if (tensorMap !== undefined) options.tensorMap = (await requireJson(tensorMap)) as TensorMap;
  if (config) options.config = await configKeys(config);
  return options;
}

/**
 * The keys of `--config`. Later ones replace earlier ones.
 *
 * @throws InputError if a file cannot be read or is not a JSON object, or if a key is unknown.
 */
async function configKeys(values: readonly string[]): Promise<Record<string, unknown>> {
  let keys: Record<string, unknown> = {};
  for (const text of values) {
    const pair = /^(\w+)=(.*)$/s.exec(text);
    if (!pair) {
      const json = await requireJson(text);
      if (!isObject(json)) throw new InputError(`${text}: expected a JSON object`);
      keys = withKeys(keys, json);
      continue;
    }
    const [, key, value] = pair;
    if (canonicalKey(key) === null) {
      throw new InputError(`unknown key '${key}' of --config; choose from: ${KEYS.join(', ')}`);
    }
    keys = withKeys(keys, { [key]: scalarOf(value) });
  }
  return keys;
}

/** A number as a number, anything else as a string. */
function scalarOf(text: string): unknown {
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What `--dtype` does to the weights. */
function describeDtype({ dtype, lossless }: LoadReport): string {
  if (lossless) return `${dtype}: every weight keeps its exact value`;
  if (dtype === 'f32') return 'f32: weights are rounded to float32';
  if (dtype === 'bf16' || dtype === 'f16') return `${dtype}: weights of linear layers are rounded to 16 bits`;
  const head = dtype === 'int4' ? '; the head keeps 8' : '';
  const group = `in groups of ${GROUP[dtype]}`;
  return `${dtype}: weights of linear layers are rounded to ${dtype.slice(3)} bits ${group}${head}`;
}

/** Shows a progress bar for each file that is downloaded. */
function downloadBar(): (file: string, done: number, total: number) => void {
  const bars = new Map<string, (done: number, total: number) => void>();
  return (file, done, total) => {
    const bar = bars.get(file) ?? progressBar(`downloading ${file}`);
    bars.set(file, bar);
    bar(done, total);
  };
}

/** @throws InputError if the file does not exist, cannot be read or is not JSON. */
export async function requireJson(path: string): Promise<unknown> {
  return readJsonFile(path, InputError);
}
