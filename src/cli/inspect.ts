import { Command } from 'commander';
import { describeModel, type InspectReport, type LoadReport } from '../checkpoint/readModel.js';
import { formatConfig } from '../checkpoint/config.js';
import type { TableReport } from '../codes/describeTable.js';
import { visible } from '../lib/quote.js';
import { addModelOptions, loadOptions, openModelFolderOf, type ModelFlags } from './options.js';
import { formatBytes, printJson, table } from './output.js';

export function inspectCommand(): Command {
  return addModelOptions(new Command('inspect'))
    .description('Show what a model folder contains and which missing settings are assumed.')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  emergent inspect
  emergent inspect --model path/to/model --json`,
    )
    .action(async (flags: ModelFlags & { json?: boolean }) => {
      const report = await describeModel(await openModelFolderOf(flags), await loadOptions(flags));
      const total = Object.values(report.parameters).reduce((sum, count) => sum + count, 0);
      if (flags.json) {
        const { config, parameters, ...rest } = report;
        const result = { config: formatConfig(config), parameters: { ...parameters, total }, ...rest };
        printJson(result);
      } else {
        process.stdout.write(`${describe(report, total)}\n`);
      }
    });
}

function describe(report: InspectReport, total: number): string {
  const config = Object.entries(formatConfig(report.config)).filter(([key]) => !/architectures|torch_dtype/.test(key));
  const bytes = report.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const sections = [
    `${visible(report.source)}: ${total.toLocaleString('en')} parameters in ${report.tensors.length} tensors, ${formatBytes(bytes)}`,
    table(config.map(([key, value]) => [key, String(value), originOf(key, report)])),
    table(
      Object.entries(report.parameters).map(([part, count]) => [
        part,
        count,
        `${((100 * count) / total).toFixed(1)} %`,
      ]),
    ),
    table(
      report.tensors.map(({ name, dtype, shape, canonical }) => [
        name,
        dtype,
        shape.join(' x '),
        canonical === name ? '' : (canonical ?? 'not a parameter'),
      ]),
    ),
    report.table
      ? describeTable(report.table)
      : `Table: none; ${report.computedCodes ?? ''} codes are computed from token ids`,
    list('Assumed', [...report.assumedKeys.map((key) => `${key}: not in config.json`), ...report.assumptions]),
    list(
      'Ignored',
      report.ignored.map(({ name, what }) => `${name}: ${what}`),
    ),
    list('Warnings', report.warnings),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** Where the value of a config key comes from. */
function originOf(key: string, { assumedKeys, inferredKeys, aliases }: LoadReport): string {
  if (assumedKeys.includes(key)) return 'assumed';
  if (inferredKeys.includes(key)) return 'from shapes';
  return Object.hasOwn(aliases, key) ? `read as ${aliases[key]}` : 'read';
}

const KINDS: Readonly<Record<TableReport['kind'], string>> = {
  index: "the token's index in binary",
  affine: 'bits, an affine map of the index over GF(2)',
  bits: 'bits',
  floats: 'floats',
  'not finite': 'NaN or infinite numbers',
};

/** Two lines: what the table holds, and whether it looks frozen. */
function describeTable(table: TableReport): string {
  const { shape, rows, kind, norms, unitNorm, rank, rankIsBound, duplicates, looksFrozen } = table;
  const size = `${shape[0].toLocaleString('en')} x ${shape[1]}`;
  if (kind === 'not finite') return `Table: ${size}, ${KINDS[kind]}`;
  const lengths = unitNorm
    ? 'rows of length 1'
    : `rows of length ${norms.map((norm) => norm.toPrecision(3)).join(' to ')}`;
  const isSample = rows < shape[0];
  const sample = isSample ? `, judged by ${rows.toLocaleString('en')} rows` : '';
  const trained = looksFrozen ? 'looks frozen: training keeps neither bits nor unit lengths' : 'may be trained';
  const same = duplicates === 0 ? 'no duplicates' : `${duplicates} duplicate ${duplicates === 1 ? 'row' : 'rows'}`;
  return [
    `Table: ${size}, ${KINDS[kind]}; ${lengths}; rank ${rankIsBound ? 'at least ' : ''}${rank}; ${same}${sample}`,
    `  ${trained}`,
  ].join('\n');
}

function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [`${title}:`, ...lines.map((line) => `  ${visible(line)}`)].join('\n');
}
