import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import { explain } from '../verify/explain.js';
import { checkWeights, recordedRoles } from '../verify/golden.js';
import { readGolden } from '../verify/readGolden.js';
import { renderHtml } from '../verify/html.js';
import { jsonFindings, jsonHeader } from '../verify/jsonReport.js';
import { renderJunit } from '../verify/junit.js';
import { cells, COLUMNS, describeExplanation, summarize } from '../verify/report.js';
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
import { printJson, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { readTolerance } from './tolerance.js';

interface VerifyFlags extends ModelFlags, BackendFlags {
  golden: string;
  anyWeights?: boolean;
  tolerance?: string;
  json?: boolean;
  junit?: string;
  html?: string;
}

export function verifyCommand(): Command {
  return addBackendOption(addModelOptions(new Command('verify')))
    .description('Compare every activation with a golden file: where is the first mismatch, how large is it, and why?')
    .requiredOption('--golden <file>', 'file from golden/run.sh or `emergent trace`')
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
  emergent verify --model path/to/model --golden trace.safetensors --html report.html`,
    )
    .action(async (flags: VerifyFlags) => {
      await checkOutputs([flags.html, flags.junit], [flags.model, flags.tensorMap, flags.golden, flags.tolerance]);
      const tolerance = await readTolerance(flags.tolerance);
      const chosen = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const golden = { ...(await readGolden(flags.golden)), tolerance };
      const { model, report: loaded } = await openModel(folder, flags, chosen, recordedRoles(golden));
      if (!flags.anyWeights) checkWeights(golden, await sha256(loaded.source));
      const report = await verify(model, golden, chosen.name);
      const isRounded = flags.dtype !== undefined && !loaded.lossless;
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

/** The hash of a weights file; null for a sharded checkpoint, which has no single file. */
async function sha256(path: string): Promise<string | null> {
  if (!path.endsWith('.safetensors')) return null;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
