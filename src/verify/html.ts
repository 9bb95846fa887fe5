import { escapeHtml, page } from '../lib/html.js';
import { errorChart } from './errorChart.js';
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
