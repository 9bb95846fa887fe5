import { Command, Option } from 'commander';
import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { explain } from '../verify/explain.js';
import { checkWeights } from '../verify/golden.js';
import { readGolden } from '../verify/readGolden.js';
import { renderHtml } from '../verify/html.js';
import { cells, COLUMNS, describeExplanation, summarize } from '../verify/report.js';
import { computeTruth, defaultTokens } from '../verify/truth.js';
import { verify } from '../verify/verify.js';
import {
  addBackendOption,
  addModelOptions,
  chooseBackend,
  openModel,
  openModelFolderOf,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { note, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';
import { weightsSha256 } from './weightsSha256.js';

interface VerifyFlags extends ModelFlags, BackendFlags, TokenFlags {
  golden?: string;
  against?: 'reference';
  anyWeights?: boolean;
  json?: boolean;
  html?: string;
}

export function verifyCommand(): Command {
  return addBackendOption(addModelOptions(addTokenOptions(new Command('verify'))))
    .description('Compare every activation with the truth: where is the first mismatch, how large is it, and why?')
    .option('--golden <file>', 'truth from a file of golden/run.sh, `emergent record` or `emergent trace`')
    .addOption(
      new Option('--against <what>', 'truth from the reference in float64, for --tokens, --text or a default')
        .choices(['reference'])
        .conflicts('golden'),
    )
    .option('--any-weights', 'compare even if the golden file was made from other weights')
    .option('--json', 'print one JSON object')
    .option('--html <file>', 'write an HTML page with charts; - for standard output')
    .addHelpText(
      'after',
      `
Exit code: 0 if everything agrees, 1 if something differs, 2 for bad input.

Examples:
  emergent verify --model golden/fixtures/models/tanh --golden golden/fixtures/models/tanh/truth.safetensors
  emergent verify --model path/to/model --golden trace.safetensors --html report.html
  emergent verify --model path/to/model --backend simd --against reference`,
    )
    .action(async (flags: VerifyFlags) => {
      checkSource(flags);
      await checkOutputs([flags.html], [flags.model, flags.tensorMap, flags.golden]);
      const chosen = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const stored = flags.golden === undefined ? null : await readGolden(flags.golden);
      const { model, report: loaded } = await openModel(folder, flags, chosen);
      if (stored && !flags.anyWeights) checkWeights(stored, await weightsSha256(loaded.source));
      const golden =
        stored ?? computeTruth(model, await idsOf(flags, folder, model.config), chosen.name === 'reference');
      const report = await verify(model, golden, chosen.name);
      const explanation = report.first && (await explain(model, golden, chosen.name));
      if (flags.html !== undefined) await writePage(flags.html, renderHtml(report, explanation));
      if (flags.json) {
        const { rows, first, backend, precision, notCompared } = report;
        const explained = explanation && describeExplanation(explanation);
        const header = { ...golden.header, float32_distance: undefined };
        process.stdout.write(
          `${JSON.stringify({ ok: !first, backend, precision, golden: header, first, explained, notCompared, rows })}\n`,
        );
      } else {
        process.stdout.write(`${table([COLUMNS, ...report.rows.map(cells)])}\n\n${summarize(report, explanation)}\n`);
      }
      process.exitCode = report.first ? 1 : 0;
    });
}

/** @throws InputError unless the truth comes from one place, and the tokens as well. */
function checkSource({ golden, against, tokens, text }: VerifyFlags): void {
  if (golden === undefined && against === undefined) throw new InputError('give --golden FILE or --against reference');
  if (golden === undefined || (tokens === undefined && text === undefined)) return;
  throw new InputError('a golden file has tokens of its own: --tokens and --text go with --against reference');
}

/** The tokens given, or the default ones, which are shown. */
async function idsOf(flags: VerifyFlags, folder: Folder, config: ModelConfig): Promise<number[]> {
  if (flags.tokens !== undefined || flags.text !== undefined) return tokensOf(flags, folder, config);
  const ids = defaultTokens(config);
  note(`without --tokens or --text, the tokens are ${ids.join(', ')}`);
  return ids;
}
