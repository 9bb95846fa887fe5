import { escapeHtml, page } from '../lib/html.js';
import type { Explanation } from './explain.js';
import { cells, COLUMNS, summarize } from './report.js';
import type { Row, VerifyReport } from './verify.js';

/**
 * Renders a report as one self-contained page without scripts: a logarithmic chart of the errors with the bounds and the
 * errors of PyTorch float32, a heat map of the worst activation, and the table.
 */
export function renderHtml(report: VerifyReport, explanation: Explanation | null): string {
  const { rows, golden, worst } = report;
  const title = `${report.first ? report.first.status : 'OK'}: ${golden.name}`;
  const style = `pre { border-left: 4px solid ${report.first ? '#c62828' : '#2e7d32'}; }
tr.DIFF td, tr.NAN td, tr.SHAPE td { background: #fdecea; }
svg text { font: 11px system-ui, sans-serif; fill: #556; }
`;
  const body = `<pre>${escapeHtml(summarize(report, explanation))}</pre>
<h2>Error by activation</h2>
<p>Relative L2 error of each activation, in order of execution, on a logarithmic scale. Exact activations are at the bottom.
The bound limits the largest error over the rms, which is at least the relative L2 error.</p>
<div class="scroll">${errorChart(report)}</div>
<h2>Where ${escapeHtml(worst.row.name)} differs</h2>
<p>The activation that uses the largest share of its bound (${(100 * worst.row.share).toFixed(0)} %): |ours − truth|, one row per token,
one column per element, from white (no error) to dark (${worst.row.difference ? worst.row.difference.max.toExponential(1) : '?'}).</p>
<div class="scroll">${heatMap(report)}</div>
<h2>All activations</h2>
<div class="scroll">${table(rows)}</div>`;
  return page(title, body, style);
}

function table(rows: readonly Row[]): string {
  const head = COLUMNS.map((name) => `<th>${escapeHtml(name)}</th>`).join('');
  const body = rows.map((row) => {
    const columns = cells(row).map((cell) => `<td>${escapeHtml(cell)}</td>`);
    return `<tr class="${row.status}">${columns.join('')}</tr>`;
  });
  return `<table><tr>${head}</tr>\n${body.join('\n')}\n</table>`;
}

const HEIGHT = 320;
const LEFT = 60;
const FLOOR = -9; // 10^-9: below any float32 rounding
const CEILING = 1;

function errorChart({ rows, golden }: VerifyReport): string {
  const step = Math.max(9, Math.min(24, 1000 / rows.length));
  const width = LEFT + step * rows.length + 20;
  const x = (i: number) => LEFT + step * (i + 0.5);
  const y = (error: number) => {
    const exponent = Math.min(CEILING, Math.max(FLOOR, Number.isNaN(error) ? CEILING : Math.log10(error)));
    return 20 + ((CEILING - exponent) / (CEILING - FLOOR)) * HEIGHT;
  };
  const line = (values: (number | undefined)[], style: string) => {
    const points = values.flatMap((value, i) =>
      value === undefined ? [] : [`${x(i).toFixed(1)},${y(value).toFixed(1)}`],
    );
    return `<polyline points="${points.join(' ')}" fill="none" ${style}/>`;
  };
  const grid = Array.from({ length: CEILING - FLOOR + 1 }, (_, i) => FLOOR + i).map((exponent) => {
    const at = y(10 ** exponent);
    return `<line x1="${LEFT}" x2="${width - 20}" y1="${at}" y2="${at}" stroke="#e3e5ec"/><text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">1e${exponent}</text>`;
  });
  const distances = golden.header.float32_distance ?? {};
  const dots = rows.map((row, i) => {
    const error = row.difference?.relativeL2 ?? Infinity;
    const color = row.status === 'OK' ? '#1565c0' : '#c62828';
    const tip = `${row.name} (${row.op}): ${row.status}, ${error.toExponential(1)}`;
    return `<circle cx="${x(i).toFixed(1)}" cy="${y(error).toFixed(1)}" r="3.5" fill="${color}"><title>${escapeHtml(tip)}</title></circle>`;
  });
  const names = rows.map((row, i) => {
    const at = `${x(i).toFixed(1)} ${HEIGHT + 32}`;
    return `<text transform="translate(${at}) rotate(60)">${escapeHtml(row.name)}</text>`;
  });
  const legend = [
    ['#1565c0', 'ours'],
    ['#9e9e9e', 'PyTorch float32'],
    ['#ef6c00', 'bound'],
  ].map(([color, text], i) => {
    const at = LEFT + 20 + 130 * i;
    return `<rect x="${at}" y="4" width="12" height="4" fill="${color}"/><text x="${at + 18}" y="10">${text}</text>`;
  });
  return `<svg width="${width}" height="${HEIGHT + 150}" role="img" aria-label="error by activation">
${grid.join('')}
${line(
  rows.map(({ bound }) => (bound === 0 ? undefined : bound)),
  'stroke="#ef6c00" stroke-dasharray="5 3"',
)}
${line(
  rows.map(({ name }) => distances[name]),
  'stroke="#9e9e9e"',
)}
${line(
  rows.map(({ difference }) => difference?.relativeL2),
  'stroke="#1565c0" stroke-opacity=".4"',
)}
${dots.join('\n')}
${names.join('\n')}
${legend.join('')}
</svg>`;
}

/** Maximum number of cells per side. In larger activations, a cell shows the largest error of its elements. */
const CELLS = 160;

function heatMap({ golden, worst: { row, actual } }: VerifyReport): string {
  const { data: truth, step } = golden.tensors.get(row.name)!;
  if (!row.difference) return '<p>The shapes differ.</p>';
  if (step > 1) return '<p>The file contains only a sample of it.</p>';
  const [T, C] = row.shape;
  const [down, across] = [Math.ceil(T / CELLS), Math.ceil(C / CELLS)];
  const errors = new Map<string, number>();
  for (let i = 0; i < truth.length; i++) {
    const key = `${Math.floor(Math.floor(i / C) / down)},${Math.floor((i % C) / across)}`;
    const error = Math.abs(actual[i] - truth[i]);
    errors.set(key, Math.max(errors.get(key) ?? 0, Number.isNaN(error) ? Infinity : error));
  }
  const largest = row.difference.max || 1;
  const size = Math.max(4, Math.min(16, Math.floor(1000 / Math.ceil(C / across))));
  const rects = [...errors].map(([key, error]) => {
    const [t, c] = key.split(',').map(Number);
    const strength = Number.isFinite(largest) ? error / largest : Number(!Number.isFinite(error));
    const shade = Math.round(255 * (1 - strength));
    return `<rect x="${c * size}" y="${t * size}" width="${size}" height="${size}" fill="rgb(255,${shade},${shade})"/>`;
  });
  const [width, height] = [Math.ceil(C / across) * size, Math.ceil(T / down) * size];
  return `<svg width="${width}" height="${height}" style="border:1px solid #ccd">${rects.join('')}</svg>`;
}
