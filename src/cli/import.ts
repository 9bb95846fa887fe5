import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Dtype } from '../../reference/lib/compactTensor.js';
import { InputError } from '../../reference/lib/errors.js';
import { readTorchFile, type TorchFile } from '../checkpoint/pickle/torchFile.js';
import { describeModelFrom, readModelFrom, type LoadReport } from '../checkpoint/readModel.js';
import type { CheckpointSource } from '../checkpoint/source.js';
import type { TensorStore } from '../checkpoint/tensorStore.js';
import { openFolder } from '../folder/diskFolder.js';
import { readJson, type Folder } from '../folder/folder.js';
import { openFile } from '../folder/nodeFile.js';
import { ConfigError } from '../lib/errors.js';
import { plain } from '../lib/quote.js';
import { addWeightsOptions, dtypeOption, loadOptions, type ModelFlags } from './options.js';
import { formatBytes, note, say } from './output.js';
import { checkModelFolder } from './outputs.js';
import { writeCopy } from './writeCopy.js';

interface ImportFlags extends Omit<ModelFlags, 'model'> {
  out: string;
  force?: boolean;
}

export function importCommand(): Command {
  return addWeightsOptions(new Command('import'))
    .description(
      'Write a model folder from a file of torch.save (.bin, .pt, .pth), which is read without running its pickle.',
    )
    .argument('<file>', 'the file; config.json and the tokenizer are read from the same folder if they are there')
    .requiredOption('--out <dir>', 'the new model folder')
    .addOption(dtypeOption())
    .option('--force', 'overwrite an existing model')
    .addHelpText(
      'after',
      `
Examples:
  emergent import path/to/pytorch_model.bin --out my-model
  emergent import checkpoint.pt --config n_head=8 --config block_size=512 --out my-model`,
    )
    .action(async (file: string, flags: ImportFlags) => {
      const { out, force } = flags;
      const weights = await readTorchFile(await openFile(file));
      try {
        const from = await openFolder(dirname(file));
        if (existsSync(out) && (await realpath(out)) === (await realpath(from.name))) {
          throw new InputError(`--out is the folder of the file itself: ${out}`);
        }
        await checkModelFolder(out, force);
        for (const line of weights.notes) note(line);
        const source = sourceOf(file, weights, from);
        const options = await loadOptions({ ...flags, model: file });
        const described = await describeModelFrom(source, options);
        for (const line of linesOf(described)) note(line);
        const opened = await readModelFrom(source, { ...options, dtype: options.dtype ?? storedDtype(described) });
        for (const warning of opened.report.warnings) note(`warning: ${warning}`);
        const { after } = await writeCopy(out, from, opened);
        say(`wrote ${formatBytes(after)} to ${out}`);
      } finally {
        await weights.close();
      }
    });
}

/** The weights of the file. The configuration is config.json beside it, or else what the file has itself. */
function sourceOf(file: string, weights: TorchFile, folder: Folder): CheckpointSource {
  const inFolder = folder.files?.includes('config.json') ?? false;
  return {
    name: file,
    configName: inFolder ? folder.pathOf('config.json') : file,
    readConfig: async () => (inFolder ? await readJson(folder, 'config.json', ConfigError) : (weights.config ?? {})),
    openWeights: () => Promise.resolve(keptOpen(weights)),
  };
}

/** The file under another owner: closing it here would close it for the next reader. */
function keptOpen(weights: TorchFile): TensorStore {
  return {
    name: weights.name,
    tensors: weights.tensors,
    readFloat32: (name) => weights.readFloat32(name),
    readFloats: (name, target, start) => weights.readFloats(name, target, start),
    readBytes: (name, target) => weights.readBytes(name, target),
    close: () => Promise.resolve(),
  };
}

/** What the configuration was read as. */
function linesOf({ aliases, inferredKeys, configFile, config, assumedKeys }: LoadReport): string[] {
  const read = Object.entries(aliases).map(
    ([key, name]) => `read ${plain(name)} ${String(configFile[name])} as ${key}`,
  );
  const values = config as unknown as Record<string, unknown>;
  const inferred = inferredKeys.map((key) => `${key} ${String(values[fieldOf(key)])} from the shapes of the tensors`);
  const assumed = assumedKeys.length > 0 ? [`assumed, and not written: ${assumedKeys.join(', ')}`] : [];
  return [...read, ...inferred, ...assumed];
}

/** The field of a configuration that has a key of config.json: `n_head` becomes `nHead`. */
function fieldOf(key: string): string {
  return key.replace(/_[a-z]/g, (text) => text[1].toUpperCase());
}

/** The dtype that keeps all weights exact in the fewest bits. */
function storedDtype({ tensors }: LoadReport): Dtype {
  const matrices = tensors.filter(({ canonical, shape }) => canonical !== null && shape.length === 2);
  if (matrices.every(({ dtype }) => dtype === 'BF16')) return 'bf16';
  return matrices.every(({ dtype }) => dtype === 'F16') ? 'f16' : 'f32';
}
