import { setFlagsFromString } from 'node:v8';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { BACKEND_NAMES, openWeightsHome, resolveBackend, type LoadedModel } from '../backend.js';
import { readModel, type LoadOptions, type LoadReport } from '../checkpoint/readModel.js';
import type { TensorMap } from '../checkpoint/names.js';
import { DTYPES, GROUP, type Dtype } from '../../reference/lib/compactTensor.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readJsonFile } from '../folder/jsonFile.js';
import { LanguageModel } from '../languageModel.js';
import { demoFolder } from '../load.js';
import { openModelFolder } from '../folder/openByName.js';
import { readTokenizer } from '../tokenizer/readTokenizer.js';
import { note, progressBar } from './output.js';

/** The options of every command that loads a model. `--model` is opened before the command gets it. */
export interface ModelFlags {
  model: Folder;
  tensorMap?: string;
  dtype?: Dtype;
  /** What computes, for commands that do, and why. */
  backend?: string;
  backendNote?: string;
}

/** Where a model comes from. */
export function addModelSource(command: Command): Command {
  return addModelName(command).option(
    '--tensor-map <file>',
    'JSON object from tensor names to canonical names, null to leave one out',
  );
}

/** Which model it is: a folder or an id of the Hub. The command gets it opened. */
export function addModelName(command: Command): Command {
  const option = new Option(
    '--model <model>',
    'model folder, or org/name or org/name@revision of the Hugging Face Hub',
  );
  return command
    .addOption(option.default(demoFolder(), 'the embedded demo'))
    .option('--revision <name>', 'branch, tag or commit of a model of the Hugging Face Hub')
    .hook('preAction', async (_, action) => {
      const { model, revision } = action.opts<{ model: string; revision?: string }>();
      action.setOptionValue(
        'model',
        await openModelFolder(model, { revision, onDownload: downloadBar(), onNote: note }),
      );
    });
}

/** How the weights of linear layers are to be held. */
export function dtypeOption(): Option {
  return new Option('--dtype <name>', 'how to hold the weights of linear layers').choices(DTYPES);
}

export function addModelOptions(command: Command): Command {
  return addModelSource(command).addOption(dtypeOption());
}

/** The options of every command that computes. It gets the name of what really does, which for `auto` and `gpu` is told. */
export function addBackendOption(command: Command): Command {
  return command
    .addOption(new Option('--backend <name>', 'what computes').choices([...BACKEND_NAMES]).default('auto'))
    .option('--threads <n>', 'of simd (default: the cores there are)', parseInteger)
    .hook('preAction', async (_, action) => {
      const { backend, threads } = action.opts<{ backend: string; threads?: number }>();
      let resolved = await resolveBackend(backend, (line) => {
        // somebody who reads a pipe learns it from the result
        if (backend !== 'auto' || process.stderr.isTTY) action.setOptionValue('backendNote', line);
      });
      if (resolved === 'simd') allowRelaxedSimd();
      if (threads !== undefined) {
        if (resolved !== 'simd') throw new InputError(`--threads is for simd, and this is ${resolved}`);
        if (threads < 1) throw new InputError(`--threads must be 1 or more, got ${threads}`);
        resolved = await resolveBackend(`simd:${threads}`);
      }
      action.setOptionValue('backend', resolved);
    });
}

/** Node 20 can multiply and add in one instruction of WebAssembly, but waits to be told. It makes prompts faster. */
function allowRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
}

/** Loads the weights that the flags name: progress where somebody looks, warnings on stderr. */
export async function openModel(flags: ModelFlags): Promise<{ model: LoadedModel; report: LoadReport }> {
  const loaded = await readModel(flags.model, await loadOptions(flags));
  for (const warning of loaded.report.warnings) note(`warning: ${warning}`);
  if (flags.dtype) note(describeDtype(loaded.report));
  if (flags.backendNote !== undefined) note(flags.backendNote);
  return loaded;
}

/** What becomes of the weights. */
function describeDtype({ dtype, lossless }: LoadReport): string {
  if (lossless) return `${dtype}: every weight is what it is in the file`;
  if (dtype === 'f32') return 'f32: weights are rounded to float32';
  if (dtype === 'bf16' || dtype === 'f16') return `${dtype}: weights of linear layers are rounded to 16 bits`;
  const kept = dtype === 'int4' ? '; 8 for the head' : '';
  const group = `in groups of ${GROUP[dtype]}`;
  return `${dtype}: weights of linear layers are rounded to ${dtype.slice(3)} bits ${group}${kept}`;
}

/** As {@link openModel}, with the tokenizer, which is read first because it is the quicker to fail. */
export async function openLanguageModel(flags: ModelFlags): Promise<LanguageModel> {
  const tokenizer = await readTokenizer(flags.model);
  const { model, report } = await openModel(flags);
  return new LanguageModel(model, tokenizer, report, flags.backend);
}

/** Shows one file after the other as it is downloaded. */
function downloadBar(): (file: string, done: number, total: number) => void {
  const bars = new Map<string, (done: number, total: number) => void>();
  return (file, done, total) => {
    const bar = bars.get(file) ?? progressBar(`downloading ${file}`);
    bars.set(file, bar);
    bar(done, total);
  };
}

/** What the flags say of how a model is to be loaded. */
export async function loadOptions({ tensorMap, dtype, backend }: ModelFlags): Promise<LoadOptions> {
  const home = backend === undefined ? undefined : await openWeightsHome(backend);
  const options: LoadOptions = { onProgress: progressBar('loading'), dtype, home };
  if (tensorMap !== undefined) options.tensorMap = (await requireJson(tensorMap)) as TensorMap;
  return options;
}

/** Text given on the command line, or on standard input for `-`, whose final newline is the shell's and not meant. */
export async function textArgument(text: string): Promise<string> {
  if (text !== '-') return text;
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** @throws InputError if the file does not exist, cannot be read or is not JSON. */
export async function requireJson(path: string): Promise<unknown> {
  return readJsonFile(path, InputError);
}

/** For commander: a finite number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It is not a number.');
  return value;
}

/** For commander: an integer that float64 holds exactly. */
export function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new InvalidArgumentError('It is not an integer.');
  }
  return Number(text);
}

/** For commander: token ids as `1,2,3`. */
export function parseIds(text: string): number[] {
  if (!/^\s*\d+(\s*,\s*\d+)*\s*$/.test(text)) {
    throw new InvalidArgumentError('It is not a list of token ids such as 1,2,3.');
  }
  return text.split(',').map(Number);
}
