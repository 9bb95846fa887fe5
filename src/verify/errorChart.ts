import { escapeHtml } from '../lib/html.js';
import type { Row, VerifyReport } from './verify.js';

const HEIGHT = 320;
const TOP = 20;
const LEFT = 60;
const RIGHT = 20;
/** Room for the names under the chart. */
const BOTTOM = 130;
const FLOOR = -9; // 10^-9: below any float32 rounding
const CEILING = 1;

const OURS = '#1565c0';
const DIFFERS = '#c62828';
const PYTORCH = '#9e9e9e';
const BOUND = '#ef6c00';

/** Draws the relative error of every activation in order of execution, on a logarithmic scale, as an SVG. */
export function errorChart({ rows, golden }: VerifyReport): string {
  const step = Math.max(9, Math.min(24, 1000 / rows.length));
  const width = LEFT + step * rows.length + RIGHT;
  const x = (i: number) => LEFT + step * (i + 0.5);
  const float32 = golden.header.float32_distance ?? {};
  const layers = [
    ...grid(width - RIGHT),
    line(
      rows.map(({ bound }) => (bound === 0 ? undefined : bound)),
      x,
      `stroke="${BOUND}" stroke-dasharray="5 3"`,
    ),
    line(
      rows.map(({ name }) => float32[name]),
      x,
      `stroke="${PYTORCH}"`,
    ),
    line(
      rows.map(({ difference }) => difference?.relativeL2),
      x,
      `stroke="${OURS}" stroke-opacity=".4"`,
    ),
    ...rows.map((row, i) => dot(row, x(i))),
    ...rows.map(({ name }, i) => label(name, x(i))),
    ...legend(),
  ];
  const size = `width="${width}" height="${TOP + HEIGHT + BOTTOM}"`;
  return `<svg ${size} role="img" aria-label="error by activation">\n${layers.join('\n')}\n</svg>`;
}

/** The height of an error; NaN counts as the largest. */
function y(error: number): number {
  const exponent = Math.min(CEILING, Math.max(FLOOR, Number.isNaN(error) ? CEILING : Math.log10(error)));
  return TOP + ((CEILING - exponent) / (CEILING - FLOOR)) * HEIGHT;
}

function grid(right: number): string[] {
  return Array.from({ length: CEILING - FLOOR + 1 }, (_, i) => FLOOR + i).flatMap((exponent) => {
    const at = y(10 ** exponent);
    return [
      `<line x1="${LEFT}" x2="${right}" y1="${at}" y2="${at}" stroke="#e3e5ec"/>`,
      `<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">1e${exponent}</text>`,
    ];
  });
}

function line(values: readonly (number | undefined)[], x: (i: number) => number, style: string): string {
  const points = values.flatMap((value, i) =>
    value === undefined ? [] : [`${x(i).toFixed(1)},${y(value).toFixed(1)}`],
  );
  return `<polyline points="${points.join(' ')}" fill="none" ${style}/>`;
}

function dot({ name, op, status, difference }: Row, x: number): string {
  const error = difference?.relativeL2 ?? Infinity;
  const color = status === 'OK' ? OURS : DIFFERS;
  const tip = escapeHtml(`${name} (${op}): ${status}, ${error.toExponential(1)}`);
  return `<circle cx="${x.toFixed(1)}" cy="${y(error).toFixed(1)}" r="3.5" fill="${color}"><title>${tip}</title></circle>`;
}

function label(name: string, x: number): string {
  return `<text transform="translate(${x.toFixed(1)} ${TOP + HEIGHT + 12}) rotate(60)">${escapeHtml(name)}</text>`;
}

function legend(): string[] {
  const entries = [
    [OURS, 'ours'],
    [PYTORCH, 'PyTorch float32'],
    [BOUND, 'bound'],
  ];
  return entries.flatMap(([color, text], i) => {
    const at = LEFT + 20 + 130 * i;
    return [
      `<rect x="${at}" y="4" width="12" height="4" fill="${color}"/>`,
      `<text x="${at + 18}" y="10">${text}</text>`,
    ];
  });
}
