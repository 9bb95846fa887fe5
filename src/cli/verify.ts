import { Command, Option } from 'commander';
import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { explain } from '../verify/explain.js';
import { checkWeights, recordedRoles } from '../verify/golden.js';
import { readGolden } from '../verify/readGolden.js';
import { renderHtml } from '../verify/html.js';
import { jsonFindings, jsonHeader } from '../verify/jsonReport.js';
import { renderJunit } from '../verify/junit.js';
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
import { note, printJson, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { addTokenOptions, tokensOf, type TokenFlags } from './tokens.js';
import { readTolerance } from './tolerance.js';
import { weightsSha256 } from './weightsSha256.js';

interface VerifyFlags extends ModelFlags, BackendFlags, TokenFlags {
  golden?: string;
  against?: 'reference';
  anyWeights?: boolean;
  tolerance?: string;
  json?: boolean;
  junit?: string;
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
    .option(
      '--tolerance <scale|file>',
      'multiply the bounds by a factor, or by one for each op: a JSON file {"layerNorm": 2}',
    )
    .option('--json', 'print one JSON object (golden/FORMAT.md describes it)')
    .option('--junit <file>', 'write JUnit XML for CI, one test case per activation; - for standard output')
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
      await checkOutputs([flags.html, flags.junit], [flags.model, flags.tensorMap, flags.golden, flags.tolerance]);
      const tolerance = await readTolerance(flags.tolerance);
      const chosen = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const stored = flags.golden === undefined ? null : await readGolden(flags.golden);
      const { model, report: loaded } = await openModel(
        folder,
        flags,
        chosen,
        stored ? recordedRoles(stored) : undefined,
      );
      if (stored && !flags.anyWeights) checkWeights(stored, await weightsSha256(loaded.source));
      const truth =
        stored ?? computeTruth(model, await idsOf(flags, folder, model.config), chosen.name === 'reference');
      const golden = { ...truth, tolerance };
      const report = await verify(model, golden, chosen.name);
      const isRounded = stored !== null && flags.dtype !== undefined && !loaded.lossless;
      if (isRounded) report.notes.push(expectedOf(loaded.dtype, report.first !== null));
      const explanation = report.first && !isRounded ? await explain(model, golden, chosen.name) : null;
      const summary = summarize(report, explanation);
      if (flags.html !== undefined) await writePage(flags.html, renderHtml(report, explanation));
      if (flags.junit !== undefined) {
        await writePage(flags.junit, renderJunit(report, `emergent verify --backend ${report.backend}`, summary));
      }
      if (flags.json) {
        const { backend, precision } = report;
        const explained = explanation && describeExplanation(explanation);
        const about = { backend, precision, tolerance, golden: jsonHeader(golden.header), explained };
        printJson({ ...jsonFindings(report), ...about });
      } else {
        process.stdout.write(`${table([COLUMNS, ...report.rows.map(cells)])}\n\n${summary}\n`);
      }
      process.exitCode = report.first ? 1 : 0;
    });
}

/** What `--dtype` says about a difference. */
function expectedOf(dtype: string, differs: boolean): string {
  const rounded = `--dtype ${dtype} rounds the weights of linear layers, and the file's are not rounded`;
  return differs ? `expected: ${rounded}; without --dtype other causes show` : `note: ${rounded}`;
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
