import { configKey } from '../checkpoint/config.js';
import { CHECK_WEIGHTS } from '../finite.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { show } from '../../reference/lib/tensor.js';
import { plain, visible } from '../lib/quote.js';
import { unravel } from './compare.js';
import type { Cause, Explanation } from './explain.js';
import type { FilesReport } from './compareFiles.js';
import type { Row, VerifyReport } from './verify.js';

/** A change of the configuration in the spelling of config.json. */
export function describeChange(change: Partial<ModelConfig>): string {
  return Object.entries(change)
    .map(([key, value]) => `${configKey(key)}: ${value}`)
    .join(', ');
}

/** What was found, in words or as a change of the configuration. */
export function describeExplanation({ causes, rest, verdict }: Explanation): string {
  if (verdict !== undefined) return verdict;
  const found = describeCauses(causes);
  return rest ? `${found}; with that everything agrees${describeRest(rest)}` : found;
}

function describeCauses(causes: readonly Cause[]): string {
  if (!isChange(causes)) return causes.map(describeCause).join('; ');
  return causes.map(({ answers }) => answers.map(({ change }) => describeChange(change!)).join(' or ')).join(', ');
}

function isChange(causes: readonly Cause[]): boolean {
  return causes.every(({ answers }) => answers.every(({ change }) => change !== null));
}

function describeCause({ answers }: Cause): string {
  const words = answers.map(({ words }) => words);
  return words.length === 1 ? words[0] : `either ${words.join(' or ')}`;
}

function describeRest({ upTo, name, op }: NonNullable<Explanation['rest']>): string {
  return `${upTo === null ? '' : ` up to ${upTo}`}, then the next mismatch is ${name} (${op})`;
}

/** The line of the summary that names the cause. */
function explained({ causes, rest, verdict }: Explanation): string {
  if (verdict !== undefined) return `explained: ${verdict}`;
  const found = describeCauses(causes);
  const agrees = `everything agrees${rest ? describeRest(rest) : ''}`;
  return isChange(causes) ? `explained: with ${found} ${agrees}` : `explained: ${found}; with that ${agrees}`;
}

/** Summarizes a report in a few lines. */
export function summarize(report: VerifyReport, explanation: Explanation | null): string {
  const { backend, notCompared, notes } = report;
  const verdict = [...notes, summarizeRows(report, explanation)].join('\n');
  if (notCompared.length === 0) return verdict;
  return `not compared: ${notCompared.length} attn_weights, which ${backend} cannot trace (reference can)\n${verdict}`;
}

function summarizeRows(report: VerifyReport, explanation: Explanation | null): string {
  const { golden, backend, rows, first, worst } = report;
  const against = `${visible(golden.header.producer)} ${golden.header.precision}, ${golden.header.tokens.length} tokens`;
  if (!first) {
    const share = (100 * worst.row.share).toFixed(0);
    return `OK: all ${rows.length} activations of ${backend} agree with ${against}; the largest error uses ${share} % of its bound (${worst.row.name})`;
  }
  const wrong = rows.filter(({ status }) => status !== 'OK');
  const lines = [
    `${first.status}: ${wrong.length} of ${rows.length} activations of ${backend} differ from ${against}`,
    `first: ${first.name} (${first.op}), ${originText(first)}`,
    `worst element there: ${worstText(first)}`,
    ...(isFinite(first) ? [] : [`${backend} computed ${first.ours} in ${first.name}`]),
  ];
  const born = wrong.filter(({ origin }) => origin === 'born here').slice(1);
  if (born.length > 0) {
    const names = born.slice(0, 5).map(({ name }) => name);
    lines.push(`also caused by their own op: ${names.join(', ')}`);
  }
  if (!explanation && report.notes.some((note) => note.startsWith('expected:'))) return lines.join('\n');
  lines.push(
    explanation
      ? explained(explanation)
      : 'not explained: no known change of conventions, biases or weights makes it agree; ' +
          (isFinite(first) ? 'the file may not be reproducible from these weights' : CHECK_WEIGHTS),
  );
  return lines.join('\n');
}

/** Whether the backend computed a number where a row differs most. */
function isFinite({ difference, ours }: Row): boolean {
  return difference === null || Number.isFinite(ours);
}

/** Summarizes the comparison of two files in a few lines. */
export function summarizeFiles({ a, b, rows, identical, notes, notCompared, first }: FilesReport): string {
  const [ours, truth] = [a, b].map(({ header }) => `${visible(header.producer)} ${header.precision}`);
  const lines = [...notes];
  if (notCompared.length > 0) {
    const more = notCompared.length > 3 ? ` and ${notCompared.length - 3} more` : '';
    lines.push(`not compared, because only one file has them: ${notCompared.slice(0, 3).map(plain).join(', ')}${more}`);
  }
  if (!first) {
    const worst = rows.reduce((most, row) => (row.share > most.share ? row : most));
    const what = identical
      ? 'have the same values'
      : `agree; the largest error uses ${(100 * worst.share).toFixed(0)} % of its bound (${worst.name})`;
    return [...lines, `OK: all ${rows.length} activations of ${ours} and ${truth} ${what}`].join('\n');
  }
  const wrong = rows.filter(({ status }) => status !== 'OK');
  lines.push(
    `${first.status}: ${wrong.length} of ${rows.length} activations of ${ours} differ from ${truth}`,
    `first: ${first.name} (${first.op}), ${originText(first)}`,
    `worst element there: ${worstText(first)}`,
  );
  return lines.join('\n');
}

export function originText({ origin }: Row): string {
  if (origin === null) return '';
  if (origin === 'born here') return 'caused by this op: all its inputs agree';
  if ('bornHereOrIn' in origin) {
    const { bornHereOrIn: skipped } = origin;
    const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : '';
    return `caused by this op or by activations missing from the file: ${skipped.slice(0, 3).join(', ')}${more}`;
  }
  return `caused by its input ${origin.handedDownBy}`;
}

export function worstText({ difference, shape, ours, truth, bound, share }: Row): string {
  if (!difference) return `shape ${show(shape)}`;
  const at = show(unravel(difference.worst, shape));
  if (!Number.isFinite(ours)) return `${at} is ${ours}, truth ${truth}`;
  return `${at} is ${ours}, truth ${truth}; the error is ${share.toPrecision(3)} times the bound of ${bound.toExponential(1)} rms`;
}

/** The columns of the activation table. */
export const COLUMNS: readonly string[] = [
  'activation',
  'op',
  '',
  'max',
  'rms',
  'rel. L2',
  'ULP',
  'worst at',
  'ours',
  'truth',
  'of bound',
];

/** The cells of one activation, in the order of {@link COLUMNS}. */
export function cells({ name, op, status, shape, difference, ours, truth, share }: Row): string[] {
  if (!difference) return [name, op, status, '', '', '', '', '', '', '', ''];
  const { max, rms, relativeL2, ulp, worst } = difference;
  // Sums can cancel until only rounding errors are left; a ULP distance then means nothing.
  const isUlpMeaningful = ['embedding', 'repeatInterleave', 'add', 'rope'].includes(op) && ulp < 1e6;
  return [
    name,
    op,
    status,
    short(max),
    short(rms),
    short(relativeL2),
    isUlpMeaningful ? String(ulp) : '',
    show(unravel(worst, shape)),
    ours.toPrecision(7),
    truth.toPrecision(7),
    `${(100 * share).toFixed(0)} %`,
  ];
}

function short(x: number): string {
  return x === 0 ? '0' : x.toExponential(1);
}
