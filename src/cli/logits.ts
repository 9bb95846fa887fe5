import { Command, Option } from 'commander';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import { withSession, type Session } from '../backend.js';
import { requireFiniteTensor } from '../finite.js';
import { patchTrace } from '../patch.js';
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
import { addPatchOption, checkPatchBackend, PATCH_HELP, patchFiles, readPatches, type PatchFlags } from './patches.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';

interface LogitsFlags extends ModelFlags, BackendFlags, TokenFlags, PatchFlags {
  out: string;
  chunk?: number;
}

export function logitsCommand(): Command {
  return addPatchOption(addBackendOption(addModelOptions(addTokenOptions(new Command('logits')))))
    .description('Write the logits of every position to a file: one tensor `logits`, F32 [T, V].')
    .requiredOption('--out <file>', 'safetensors file to write, or - for standard output')
    .addOption(
      new Option('--chunk <n>', 'feed the model this many tokens at a time (default: all at once)')
        .argParser(integer(1))
        .conflicts('patch'),
    )
    .addHelpText(
      'after',
      `${PATCH_HELP}
Examples:
  emergent logits --tokens 1,2,3 --out logits.safetensors
  emergent logits --text "Question: What is the capital of Japan?" --out logits.safetensors
  emergent logits --tokens 1,2,3 --backend reference --patch "layers.2.attn[:, head 3]=0" --out logits.safetensors`,
    )
    .action(async (flags: LogitsFlags) => {
      await checkOutputs([flags.out], [flags.model, flags.tensorMap, ...patchFiles(flags)]);
      const backend = await chooseBackend(flags);
      checkPatchBackend(flags, backend);
      const patches = await readPatches(flags);
      const folder = await openModelFolderOf(flags);
      const { model } = await openModel(folder, flags, backend);
      const ids = await tokensOf(flags, folder, model.config);
      const logits = await withSession(model, backend.name, (session) =>
        patches.length > 0
          ? session.forward(ids, { logits: 'all', trace: patchTrace(patches, model, ids.length) })
          : inChunks(session, ids, flags.chunk ?? Infinity),
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
