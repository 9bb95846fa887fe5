import { Command } from 'commander';
import { calibrate, type Calibration, type Convention } from '../calibrate.js';
import { configKey } from '../checkpoint/config.js';
import { describeChange } from '../verify/report.js';
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
import { note, printJson, progressBar, table } from './output.js';
import { tokensOfFile } from './textFile.js';

interface CalibrateFlags extends ModelFlags, BackendFlags {
  text: string;
  maxTokens: number;
  json?: boolean;
}

export function calibrateCommand(): Command {
  return addBackendOption(addModelOptions(new Command('calibrate')))
    .description('Find the conventions that a checkpoint does not record, by their perplexity on plain text.')
    .requiredOption('--text <file>', 'plain text like the training data, in UTF-8, or - for standard input')
    .option(
      '--max-tokens <n>',
      'use at most this many tokens; every combination runs over all of them',
      integer(2),
      512,
    )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  emergent calibrate --text questions.txt
  emergent calibrate --model path/to/model --text book.txt --max-tokens 256`,
    )
    .action(async (flags: CalibrateFlags) => {
      const backend = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const ids = await tokensOfFile(flags.text, folder, flags.maxTokens);
      const { model } = await openModel(folder, flags, backend);
      const result = await calibrate(model, ids, backend.name, progressBar('trying', String));
      const failed = result.trials.filter(({ perplexity }) => !Number.isFinite(perplexity)).length;
      if (failed > 0) {
        note(`${failed} of ${result.trials.length} combinations have no finite perplexity; they rank last`);
      }
      if (flags.json) {
        const trials = result.trials.map(({ convention, perplexity }) => ({ ...keysOf(convention), perplexity }));
        printJson({ tokens: ids.length, trials, verdicts: result.verdicts });
      } else {
        process.stdout.write(`${describe(result)}\n`);
      }
    });
}

/** A convention under the keys of config.json. */
function keysOf(convention: Convention): Record<string, unknown> {
  return Object.fromEntries(Object.entries(convention).map(([key, value]) => [configKey(key), value]));
}

function describe({ trials, verdicts }: Calibration): string {
  const [best] = trials;
  const rows = trials.map(({ convention, perplexity }) => [
    Number.isFinite(perplexity) ? perplexity.toPrecision(6) : 'none',
    ...Object.values(convention).map(String),
  ]);
  const lines = verdicts.map(({ key, best: chosen, other, nats, sigmas, clear }) => {
    const worse = Number.isFinite(nats)
      ? `${other} is worse by ${nats.toPrecision(2)} nats per token, ${sigmas.toFixed(1)} standard errors`
      : `${other} has no finite perplexity`;
    return `${configKey(key)} ${chosen}: ${worse} (${clear ? 'clear' : 'not clear'})`;
  });
  const found = verdicts.filter(({ clear }) => clear).map(({ key }) => [key, best.convention[key]] as const);
  const open = verdicts.filter(({ clear }) => !clear).map(({ key }) => configKey(key));
  return [
    table([['perplexity', ...Object.keys(best.convention).map(configKey)], ...rows]),
    lines.join('\n'),
    [
      `for config.json: ${found.length === 0 ? 'nothing is clear' : describeChange(Object.fromEntries(found))}`,
      ...(open.length === 0 ? [] : [`left open: ${open.join(', ')}`]),
    ].join('\n'),
  ].join('\n\n');
}
