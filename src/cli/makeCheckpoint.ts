import { Command, Option } from 'commander';
import { encodeConfig } from '../checkpoint/saveModel.js';
import { encodeLazily } from '../checkpoint/safetensors.js';
import { syntheticTensors } from '../checkpoint/synthetic.js';
import { mersenne } from 'pure-rand/generator/mersenne';
import { PRESETS, TABLE_FREE_PRESETS } from '../checkpoint/config.js';
import { formatAffineMap, TABLE } from '../checkpoint/computedTable.js';
import { randomAffineMap } from '../codes/affine.js';
import { sizeOf } from '../../reference/lib/tensor.js';
import { integer } from './numbers.js';
import { counted, formatBytes, say } from './output.js';
import { checkModelFolder, writeModelFolder } from './outputs.js';

export function makeCheckpointCommand(): Command {
  return new Command('make-checkpoint')
    .description(
      'Write a full-size checkpoint with hashes as weights. Its output is meaningless; use it to test and to measure.',
    )
    .addOption(new Option('--preset <name>', 'model of the family').choices(Object.keys(PRESETS)).makeOptionMandatory())
    .requiredOption('--out <dir>', 'folder for config.json and model.safetensors')
    .option('--seed <n>', 'the same seed gives the same bytes on every machine', integer(), 1)
    .option('--force', 'overwrite an existing model')
    .addHelpText(
      'after',
      `
Examples:
  emergent make-checkpoint --preset model_64_float --seed 1 --out checkpoints/64-float
  emergent logits --model checkpoints/64-float --tokens 1,2,3 --out logits.safetensors`,
    )
    .action(async ({ preset, out, seed, force }: { preset: string; out: string; seed: number; force?: boolean }) => {
      await checkModelFolder(out, force);
      const config = PRESETS[preset];
      const isTableFree = TABLE_FREE_PRESETS.includes(preset);
      const tensors = syntheticTensors(config, seed).filter(({ name }) => !(isTableFree && name === TABLE));
      const map = isTableFree ? randomAffineMap(config.vocabSize, config.nEmbed, mersenne(seed)) : null;
      const total = tensors.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
      const begun = performance.now();
      await writeModelFolder(out, [
        ['model.safetensors', counted(encodeLazily(tensors, { format: 'pt' }), total)],
        ['config.json', [encodeConfig(config, map ? { codes: formatAffineMap(map) } : {})]],
      ]);
      const seconds = (performance.now() - begun) / 1000;
      say(`wrote ${formatBytes(total)} to ${out} in ${seconds.toFixed(1)} s`);
    });
}
