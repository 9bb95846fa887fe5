import { Command } from 'commander';
import { withSession } from '../backend.js';
import { perplexity } from '../perplexity.js';
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
import { printJson } from './output.js';
import { tokensOfFile } from './textFile.js';

interface PerplexityFlags extends ModelFlags, BackendFlags {
  text: string;
  maxTokens: number;
  json?: boolean;
}

export function perplexityCommand(): Command {
  return addBackendOption(addModelOptions(new Command('perplexity')))
    .description('Measure how well the model predicts a text: 1 is perfect, the size of the vocabulary is chance.')
    .requiredOption('--text <file>', 'plain text in UTF-8, or - for standard input')
    .option('--max-tokens <n>', 'use at most this many tokens', integer(2), 8192)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  emergent perplexity --text book.txt
  emergent perplexity --model path/to/model --text book.txt --max-tokens 1024 --json`,
    )
    .action(async (flags: PerplexityFlags) => {
      const backend = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const ids = await tokensOfFile(flags.text, folder, flags.maxTokens);
      const { model } = await openModel(folder, flags, backend);
      const { perplexity: value, surprises } = await withSession(model, backend.name, (session) =>
        perplexity(session, model.config, ids),
      );
      const result = { perplexity: value, predicted_tokens: surprises.length };
      if (flags.json) printJson(result);
      else process.stdout.write(`${value.toPrecision(6)} over ${surprises.length} tokens\n`);
    });
}
