import { Command } from 'commander';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import { withSession, type Session } from '../backend.js';
import { requireFiniteTensor } from '../finite.js';
import { integer } from './numbers.js';
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
  chunk?: number;
}

export function logitsCommand(): Command {
  return addBackendOption(addModelOptions(addTokenOptions(new Command('logits'))))
    .description('Write the logits of every position to a file: one tensor `logits`, F32 [T, V].')
    .requiredOption('--out <file>', 'safetensors file to write, or - for standard output')
    .option('--chunk <n>', 'feed the model this many tokens at a time (default: all at once)', integer(1))
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
      const logits = await withSession(model, backend.name, (session) =>
        inChunks(session, ids, flags.chunk ?? Infinity),
      );
      requireFiniteTensor('logits', logits);
      await writeTensors(flags.out, { logits }, undefined, `logits [${logits.shape.join(', ')}]`);
    });
}

/** The logits [T, V] of all positions. */
async function inChunks(session: Session, ids: readonly number[], chunk: number): Promise<Tensor> {
  if (chunk >= ids.length) return session.forward(ids, { logits: 'all' });
  const parts: Tensor[] = [];
  for (let t = 0; t < ids.length; t += chunk) {
    parts.push(await session.forward(ids.slice(t, t + chunk), { logits: 'all' }));
  }
  const logits = tensor([ids.length, parts[0].shape[1]]);
  for (const [i, { data }] of parts.entries()) logits.data.set(data, i * parts[0].data.length);
  return logits;
}
