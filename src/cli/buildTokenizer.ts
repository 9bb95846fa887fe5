import { Command, Option } from 'commander';
import { buildTokenizer, BVV241, compactLayout, MAX_VOCABULARY, MIN_VOCABULARY } from '../tokenizer/build.js';
import { writeFolderWhole, type Pieces } from '../folder/outputFile.js';
import { integer } from './numbers.js';
import { requireJson } from './options.js';
import { say } from './output.js';
import { checkModelFolder } from './outputs.js';

interface BuildTokenizerFlags {
  ngrams: string;
  out: string;
  layout: 'bvv241' | 'compact';
  vocabSize: number;
  top: number;
  force?: boolean;
}

export function buildTokenizerCommand(): Command {
  return new Command('build-tokenizer')
    .description('Build a tokenizer of the bvv241 family from n-gram counts.')
    .requiredOption('--ngrams <file>', 'JSON: [{lang, bigrams: [[gram, count], ...], trigrams: [...]}, ...]')
    .requiredOption('--out <dir>', 'folder for tokenizer.json and tokenizer_config.json')
    .addOption(
      new Option('--layout <name>', 'the published 65,536 tokens, or a small ASCII vocabulary')
        .choices(['bvv241', 'compact'])
        .default('bvv241'),
    )
    .option('--vocab-size <n>', 'size of the compact vocabulary', integer(MIN_VOCABULARY, MAX_VOCABULARY), 1024)
    .option('--top <n>', 'n-grams of each length to take from each language', integer(1), BVV241.top)
    .option('--force', 'overwrite the tokenizer of an existing folder')
    .addHelpText(
      'after',
      `
Examples:
  emergent build-tokenizer --ngrams ngrams-2-3.json --out bvv241-2-3
  emergent build-tokenizer --ngrams counts.json --layout compact --vocab-size 1024 --top 400 --out small`,
    )
    .action(async ({ ngrams, out, layout, vocabSize, top, force }: BuildTokenizerFlags) => {
      await checkModelFolder(out, force);
      const files = buildTokenizer(
        await requireJson(ngrams),
        layout === 'compact' ? compactLayout(vocabSize, top) : { ...BVV241, top },
        ngrams,
      );
      const encoded = Object.entries(files).map(([name, content]): [name: string, pieces: Pieces] => [
        name,
        [new TextEncoder().encode(`${JSON.stringify(content, null, 1)}\n`)],
      ]);
      await writeFolderWhole(out, encoded, ['special_tokens_map.json']); // which would override the new tokens
      say(`wrote ${Object.keys(files).join(' and ')} to ${out}`);
    });
}
