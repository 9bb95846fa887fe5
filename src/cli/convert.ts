import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { Command } from 'commander';
import type { Dtype } from '../../reference/lib/compactTensor.js';
import { InputError } from '../../reference/lib/errors.js';
import { addModelSource, dtypeOption, openModel, openModelFolderOf, type ModelFlags } from './options.js';
import { formatBytes } from './output.js';
import { checkModelFolder } from './outputs.js';
import { writeCopy } from './writeCopy.js';

interface ConvertFlags extends ModelFlags {
  dtype: Dtype;
  out: string;
  force?: boolean;
}

export function convertCommand(): Command {
  return addModelSource(new Command('convert'))
    .description('Write a copy of a model with its weights in fewer bits. It is smaller and loads faster.')
    .addOption(dtypeOption().makeOptionMandatory())
    .requiredOption('--out <dir>', 'the new model folder')
    .option('--force', 'overwrite an existing model')
    .addHelpText(
      'after',
      `
Examples:
  emergent convert --dtype int8 --out demo-int8
  emergent convert --model path/to/model --dtype bf16 --out path/to/other`,
    )
    .action(async (flags: ConvertFlags) => {
      const { out, force } = flags;
      const from = await openModelFolderOf(flags);
      if (existsSync(out) && (await realpath(out)) === (await realpath(from.name).catch(() => null))) {
        throw new InputError(`--out is the model itself: ${out}`);
      }
      await checkModelFolder(out, force);
      const opened = await openModel(from, flags);
      const { before, after } = await writeCopy(out, from, opened);
      process.stderr.write(`wrote ${formatBytes(after)} to ${out}; the weights were ${formatBytes(before)}\n`);
    });
}
