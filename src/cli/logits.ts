import { Command } from 'commander';
import { withSession } from '../backend.js';
import {
  addBackendOption,
  addModelOptions,
  chooseBackend,
  openModel,
  openModelFolderOf,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { checkOutputs, writeTensors } from './outputs.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';

interface LogitsFlags extends ModelFlags, BackendFlags, TokenFlags {
  out: string;
}

export function logitsCommand(): Command {
  return addBackendOption(addModelOptions(addTokenOptions(new Command('logits'))))
    .description('Write the logits of every position to a file: one tensor `logits`, F32 [T, V].')
    .requiredOption('--out <file>', 'safetensors file to write, or - for standard output')
    .addHelpText(
      'after',
      `
Examples:
  emergent logits --tokens 1,2,3 --out logits.safetensors
  emergent logits --text "Question: What is the capital of Japan?" --out logits.safetensors`,
    )
    .action(async (flags: LogitsFlags) => {
      await checkOutputs([flags.out], [flags.model, flags.tensorMap]);
      const backend = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const { model } = await openModel(folder, flags, backend);
      const ids = await tokensOf(flags, folder, model.config);
      const logits = await withSession(model, backend.name, (session) => session.forward(ids, { logits: 'all' }));
      await writeTensors(flags.out, { logits }, undefined, `logits [${logits.shape.join(', ')}]`);
    });
}
