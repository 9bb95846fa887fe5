import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import { explain } from '../verify/explain.js';
import { checkWeights, recordedRoles } from '../verify/golden.js';
import { readGolden } from '../verify/readGolden.js';
import { renderHtml } from '../verify/html.js';
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
import { table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';

interface VerifyFlags extends ModelFlags, BackendFlags {
  golden: string;
  anyWeights?: boolean;
  json?: boolean;
  html?: string;
}

export function verifyCommand(): Command {
  return addBackendOption(addModelOptions(new Command('verify')))
    .description('Compare every activation with a golden file: where is the first mismatch, how large is it, and why?')
    .requiredOption('--golden <file>', 'file from golden/run.sh or `emergent trace`')
    .option('--any-weights', 'compare even if the golden file was made from other weights')
    .option('--json', 'print one JSON object')
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
      await checkOutputs([flags.html], [flags.model, flags.tensorMap, flags.golden]);
      const chosen = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const golden = await readGolden(flags.golden);
      const { model, report: loaded } = await openModel(folder, flags, chosen, recordedRoles(golden));
      if (!flags.anyWeights) checkWeights(golden, await sha256(loaded.source));
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

/** The hash of a weights file; null for a sharded checkpoint, which has no single file. */
async function sha256(path: string): Promise<string | null> {
  if (!path.endsWith('.safetensors')) return null;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
