import { Command } from 'commander';
import { withSession } from '../backend.js';
import { writeSafetensors } from '../checkpoint/safetensors.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import { GOLDEN_FORMAT, type GoldenHeader } from '../verify/golden.js';
import { addBackendOption, addModelOptions, openModel, type ModelFlags } from './options.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';

interface TraceFlags extends ModelFlags, TokenFlags {
  backend: string;
  out: string;
  attnWeights?: boolean;
}

export function traceCommand(): Command {
  return addBackendOption(addModelOptions(addTokenOptions(new Command('trace'))))
    .description('Write every named activation: embedding, expanded, layers.0.attn_norm, ..., final_norm, logits.')
    .requiredOption('--out <file>', 'safetensors file to write')
    .option('--attn-weights', 'write the attention weights as well (needs --backend reference)')
    .addHelpText(
      'after',
      `
Examples:
  emergent trace --tokens 1,2,3 --out trace.safetensors
  emergent trace --text "Question: What is the capital of Japan?" --out trace.safetensors
  emergent trace --tokens 1,2,3 --backend reference --attn-weights --out trace.safetensors`,
    )
    .action(async (flags: TraceFlags) => {
      const { model } = await openModel(flags);
      const ids = await tokensOf(flags, flags.model, model.config);
      const activations: Record<string, Tensor> = {};
      await withSession(model, flags.backend, (session) =>
        session.forward(ids, {
          logits: 'all',
          attnWeights: flags.attnWeights,
          trace: (name, value) => {
            activations[name] = value;
          },
        }),
      );
      const header: GoldenHeader = {
        format: GOLDEN_FORMAT,
        producer: `emergent-semantics, ${flags.backend}`,
        precision: 'float32',
        tokens: ids,
      };
      await writeSafetensors(flags.out, activations, { emergent: JSON.stringify(header) });
      process.stderr.write(`wrote ${Object.keys(activations).length} activations to ${flags.out}\n`);
    });
}
