import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../reference/lib/errors.js';
import { encodeSafetensors, type WritableTensor } from '../checkpoint/safetensors.js';
import { checkOutput, makeFolder, writeFileWhole, writeFolderWhole, type Pieces } from '../folder/outputFile.js';
import { say } from './output.js';

/** The files that a loader reads from a model folder, beside shards. */
const MODEL_FILES = [
  'config.json',
  'model.safetensors',
  'model.safetensors.index.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
];

/** An output file with this name is standard output. */
const STDOUT = '-';

/**
 * Checks the outputs of a command before any work is done.
 *
 * @param outputs the values of options such as `--out`; undefined if not given
 * @param inputs files and model folders that the command reads
 * @throws CheckpointError if an output cannot be written or is an input, InputError for binary output on a terminal.
 */
export async function checkOutputs(
  outputs: readonly (string | undefined)[],
  inputs: readonly (string | undefined)[],
): Promise<void> {
  const read = inputs.filter((path) => path !== undefined);
  for (const path of outputs) {
    if (path === '') throw new InputError('the name of an output file is empty');
    if (path === undefined || path === STDOUT) continue;
    await checkOutput(path, read);
  }
}

/** Writes a file, or standard output for `-`, and says so on stderr. */
export async function writeOutput(path: string, pieces: Pieces, what: string): Promise<void> {
  if (path === STDOUT) {
    for await (const piece of pieces) await writeStdout(piece);
    return;
  }
  await writeFileWhole(path, pieces);
  say(`wrote ${what}${path}`);
}

/** Writes an HTML page; see {@link writeOutput}. */
export async function writePage(path: string, html: string): Promise<void> {
  await writeOutput(path, [new TextEncoder().encode(html)], '');
}

/** Writes tensors as a safetensors file; see {@link writeOutput}. */
export async function writeTensors(
  path: string,
  tensors: Readonly<Record<string, WritableTensor>>,
  metadata: Readonly<Record<string, string>> | undefined,
  what: string,
): Promise<void> {
  if (path === STDOUT && process.stdout.isTTY) {
    throw new InputError('tensors are binary: redirect standard output to a file, or name a file with --out');
  }
  await writeOutput(path, encodeSafetensors(tensors, metadata), `${what} to `);
}

/**
 * Checks, before any work is done, that a folder can take a new model.
 *
 * @throws InputError if it holds a model already, unless `force`; CheckpointError if it cannot be written.
 */
export async function checkModelFolder(folder: string, force: boolean | undefined): Promise<void> {
  const existing = MODEL_FILES.find((file) => existsSync(join(folder, file)));
  if (existing !== undefined && !force) {
    throw new InputError(`${join(folder, existing)} already exists; --force overwrites it`);
  }
  await makeFolder(folder);
  for (const file of MODEL_FILES) await checkOutput(join(folder, file));
}

/**
 * Writes the files of a model, all of them or none, and removes what a loader would read beside them. The last file is
 * absent while the others are renamed, so that an interrupted write does not load.
 */
export async function writeModelFolder(
  folder: string,
  files: readonly (readonly [name: string, pieces: Pieces])[],
): Promise<void> {
  const written = files.map(([name]) => name);
  await writeFolderWhole(
    folder,
    files,
    MODEL_FILES.filter((file) => !written.includes(file)),
  );
}

function writeStdout(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
