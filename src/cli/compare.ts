import { Command } from 'commander';
import { compareFiles } from '../verify/compareFiles.js';
import { jsonFindings, jsonHeader } from '../verify/jsonReport.js';
import { renderJunit } from '../verify/junit.js';
import { readGolden } from '../verify/readGolden.js';
import { cells, COLUMNS, summarizeFiles } from '../verify/report.js';
import { printJson, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { readTolerance } from './tolerance.js';

interface CompareFlags {
  tolerance?: string;
  json?: boolean;
  junit?: string;
}

export function compareCommand(): Command {
  return new Command('compare')
    .description('Compare two traces or golden files of the same tokens, activation by activation.')
    .argument('<a>', 'safetensors file from `emergent trace`, emergent-recorder or golden/run.sh')
    .argument('<b>', 'the file that counts as the truth')
    .option(
      '--tolerance <scale|file>',
      'multiply the bounds by a factor, or by one for each op: a JSON file {"layerNorm": 2}',
    )
    .option('--json', 'print one JSON object (golden/FORMAT.md describes it)')
    .option('--junit <file>', 'write JUnit XML for CI, one test case per activation; - for standard output')
    .addHelpText(
      'after',
      `
Exit code: 0 if the values are identical or within the bounds of float32, 1 if something differs, 2 for bad input.

Examples:
  emergent trace --tokens 1,2,3 --backend simd --out a.safetensors
  emergent trace --tokens 1,2,3 --backend reference --out b.safetensors
  emergent compare a.safetensors b.safetensors`,
    )
    .action(async (a: string, b: string, flags: CompareFlags) => {
      await checkOutputs([flags.junit], [a, b, flags.tolerance]);
      const tolerance = await readTolerance(flags.tolerance);
      const report = compareFiles({ ...(await readGolden(a)), tolerance }, { ...(await readGolden(b)), tolerance });
      const summary = summarizeFiles(report);
      if (flags.junit !== undefined) await writePage(flags.junit, renderJunit(report, 'emergent compare', summary));
      if (flags.json) {
        const { identical } = report;
        const about = { identical, tolerance, a: jsonHeader(report.a.header), b: jsonHeader(report.b.header) };
        printJson({ ...jsonFindings(report), ...about });
      } else {
        process.stdout.write(`${table([COLUMNS, ...report.rows.map(cells)])}\n\n${summary}\n`);
      }
      process.exitCode = report.first ? 1 : 0;
    });
}
