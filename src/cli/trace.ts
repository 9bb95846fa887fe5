import { Command } from 'commander';
import { withSession } from '../backend.js';
import { requireFiniteTensor } from '../finite.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import { patchTrace } from '../patch.js';
import { GOLDEN_FORMAT, type GoldenHeader } from '../verify/golden.js';
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

interface TraceFlags extends ModelFlags, BackendFlags, TokenFlags, PatchFlags {
  out: string;
  attnWeights?: boolean;
}

export function traceCommand(): Command {
  return addPatchOption(addBackendOption(addModelOptions(addTokenOptions(new Command('trace')))))
    .description(
      'Write all named activations to a file: embedding, expanded, layers.0.attn_norm, ..., final_norm, logits.',
    )
    .requiredOption('--out <file>', 'safetensors file to write, or - for standard output')
    .option('--attn-weights', 'write the attention weights as well (needs --backend reference)')
    .addHelpText(
      'after',
      `${PATCH_HELP}
Examples:
  emergent trace --tokens 1,2,3 --out trace.safetensors
  emergent trace --text "Question: What is the capital of Japan?" --out trace.safetensors
  emergent trace --tokens 1,2,3 --backend reference --attn-weights --out trace.safetensors
  emergent trace --tokens 1,2,3 --backend reference --patch "layers.0.ffn_out=0" --out trace.safetensors`,
    )
    .action(async (flags: TraceFlags) => {
      await checkOutputs([flags.out], [flags.model, flags.tensorMap, ...patchFiles(flags)]);
      const backend = await chooseBackend(flags);
      checkPatchBackend(flags, backend);
      const patches = await readPatches(flags);
      const folder = await openModelFolderOf(flags);
      const { model } = await openModel(folder, flags, backend);
      const ids = await tokensOf(flags, folder, model.config);
      const activations: Record<string, Tensor> = {};
      await withSession(model, backend.name, (session) =>
        session.forward(ids, {
          logits: 'all',
          attnWeights: flags.attnWeights,
          trace: patchTrace(patches, model, ids.length, (name, value) => {
            activations[name] = value;
          }),
        }),
      );
      for (const [name, value] of Object.entries(activations)) requireFiniteTensor(name, value);
      const header: GoldenHeader = {
        format: GOLDEN_FORMAT,
        producer: `emergent-semantics, ${backend.name}${patches.length > 0 ? ', patched' : ''}`,
        precision: 'float32',
        tokens: ids,
        conventions: { norm_position: model.config.normPosition },
      };
      const what = `${Object.keys(activations).length} activations`;
      await writeTensors(flags.out, activations, { emergent: JSON.stringify(header) }, what);
    });
}
