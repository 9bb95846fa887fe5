import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { DTYPES, type Dtype } from '../../reference/lib/compactTensor.js';
import type { GgufType } from '../checkpoint/gguf/blocks.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { addModelSource, dtypeOption, openModel, openModelFolderOf, type ModelFlags } from './options.js';
import { convertToGguf, GGUF_TYPES } from './convertGguf.js';
import { formatBytes, say } from './output.js';
import { checkModelFolder } from './outputs.js';
import { writeCopy } from './writeCopy.js';

interface ConvertFlags extends Omit<ModelFlags, 'dtype'> {
  dtype: Dtype | GgufType;
  to: 'folder' | 'gguf';
  out: string;
  force?: boolean;
  dropHeadBias?: boolean;
}

export function convertCommand(): Command {
  return addModelSource(new Command('convert'))
    .description('Write a copy of a model with its weights in fewer bits. It is smaller and loads faster.')
    .addOption(
      dtypeOption()
        .choices([...new Set([...DTYPES, ...GGUF_TYPES])])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'the new model folder, or the file for --to gguf')
    .addOption(
      new Option('--to <format>', 'a model folder, or a GGUF file for llama.cpp (f32, f16, q8_0 or q4_0)')
        .choices(['folder', 'gguf'])
        .default('folder'),
    )
    .option('--drop-head-bias', 'leave out a bias of the head, which GGUF cannot hold')
    .option('--force', 'overwrite an existing model')
    .addHelpText(
      'after',
      `
Examples:
  emergent convert --dtype int8 --out demo-int8
  emergent convert --model path/to/model --dtype bf16 --out path/to/other
  emergent convert --to gguf --dtype q8_0 --out demo.gguf`,
    )
    .action(async ({ to, dtype, ...flags }: ConvertFlags) => {
      const from = await openModelFolderOf(flags);
      if (to === 'gguf') await convertToGguf(from, dtype, flags);
      else await convertFolder(from, dtype, flags);
    });
}

async function convertFolder(
  from: Folder,
  dtype: Dtype | GgufType,
  flags: Omit<ConvertFlags, 'to' | 'dtype'>,
): Promise<void> {
  const { out, force } = flags;
  if (!isDtype(dtype)) throw new InputError(`a model folder holds ${DTYPES.join(', ')}; ${dtype} needs --to gguf`);
  if (existsSync(out) && (await realpath(out)) === (await realpath(from.name).catch(() => null))) {
    throw new InputError(`--out is the model itself: ${out}`);
  }
  await checkModelFolder(out, force);
  const { before, after } = await writeCopy(out, from, await openModel(from, { ...flags, dtype }));
  say(`wrote ${formatBytes(after)} to ${out}; the weights were ${formatBytes(before)}`);
}

function isDtype(name: string): name is Dtype {
  return (DTYPES as readonly string[]).includes(name);
}
