import { Command } from 'commander';
import { computeTruth } from '../verify/truth.js';
import { addModelOptions, openModel, openModelFolderOf, type ModelFlags } from './options.js';
import { checkOutputs, writeTensors } from './outputs.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';
import { weightsSha256 } from './weightsSha256.js';

interface RecordFlags extends ModelFlags, TokenFlags {
  out: string;
  attnWeights?: boolean;
}

export function recordCommand(): Command {
  return addModelOptions(addTokenOptions(new Command('record')))
    .description('Write the truth for a model as a golden file: every activation of the reference in float64.')
    .requiredOption('--out <file>', 'golden file to write, or - for standard output')
    .option('--attn-weights', 'write the attention weights as well')
    .addHelpText(
      'after',
      `
The truth is that of the weights as they are: those of a quantized checkpoint, or of --dtype, are not restored.

Examples:
  emergent record --text "Question: What is the capital of Japan?" --out golden.safetensors
  emergent verify --golden golden.safetensors --backend simd`,
    )
    .action(async (flags: RecordFlags) => {
      await checkOutputs([flags.out], [flags.model, flags.tensorMap]);
      const folder = await openModelFolderOf(flags);
      const { model, report } = await openModel(folder, flags);
      const ids = await tokensOf(flags, folder, model.config);
      const { header, tensors } = computeTruth(model, ids, flags.attnWeights);
      // With --dtype these are not the weights of the file.
      const hash = flags.dtype ? null : await weightsSha256(report.source);
      const metadata = { ...header, ...(hash !== null && { weights_sha256: hash }) };
      const what = `${tensors.size} activations of ${ids.length} tokens`;
      await writeTensors(flags.out, Object.fromEntries(tensors), { emergent: JSON.stringify(metadata) }, what);
    });
}
