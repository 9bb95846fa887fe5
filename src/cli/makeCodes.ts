import { Command, Option } from 'commander';
import { formatAffineMap } from '../checkpoint/computedTable.js';
import { CODE_KINDS, CODES_VERSION, makeCodes, type CodeKind } from '../codes/makeCodes.js';
import { integer } from './numbers.js';
import { progressBar, say } from './output.js';
import { checkOutputs, writeTensors } from './outputs.js';

interface MakeCodesFlags {
  kind: CodeKind;
  vocabSize: number;
  nEmbed: number;
  seed: number;
  out: string;
}

export function makeCodesCommand(): Command {
  return new Command('make-codes')
    .description('Build a frozen embedding table as the papers do, and write it as token_embeddings.weight.')
    .addOption(
      new Option('--kind <name>', 'binary index, random bits, PCA of random bits, or affine map of the index')
        .choices(CODE_KINDS)
        .makeOptionMandatory(),
    )
    .option('--vocab-size <n>', 'number of tokens', integer(1), 65536)
    .option('--n-embed <n>', 'numbers in a code', integer(1), 64)
    .option('--seed <n>', 'the same seed gives the same bytes on every machine', integer(), 1)
    .requiredOption('--out <file>', 'safetensors file to write, or - for standard output')
    .addHelpText(
      'after',
      `
Codes are checked to be different. For affine codes the metadata holds the map, as the key codes of config.json takes it.

Examples:
  emergent make-codes --kind float --out codes.safetensors
  emergent make-codes --kind affine --n-embed 16 --seed 7 --out codes.safetensors`,
    )
    .action(async ({ kind, vocabSize, nEmbed, seed, out }: MakeCodesFlags) => {
      await checkOutputs([out], []);
      const bar = progressBar('computing', (share) => `${Math.round(share)} %`);
      const begun = performance.now();
      const { table, affine } = await makeCodes({
        kind,
        vocabSize,
        nEmbed,
        seed,
        onProgress: (share) => {
          bar(100 * share, 100);
        },
      });
      const seconds = (performance.now() - begun) / 1000;
      const metadata = {
        kind,
        ...(kind !== 'binary' && { seed }),
        version: CODES_VERSION,
        ...(affine && { codes: formatAffineMap(affine) }),
      };
      const what = `${vocabSize} different ${kind} codes of ${nEmbed} numbers`;
      // One entry: the order of several is not kept by every reader.
      await writeTensors(out, { 'token_embeddings.weight': table }, { emergent_codes: JSON.stringify(metadata) }, what);
      say(`${seconds.toFixed(1)} s`);
    });
}
