/** The part of a contender's results that the chart shows. */
interface Line {
  name: string;
  decode_ms: Readonly<Record<string, number>>;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP] = [720, 400, 60, 50, 170, 20];
const COLORS = ['#c0392b', '#2471a3', '#1e8449', '#7d3c98', '#d68910', '#16a085', '#5d6d7e'];

/** Draws milliseconds per token over cached tokens as SVG, one line per contender. */
export function chart(lines: readonly Line[]): string {
  const points = lines.map(({ decode_ms }) => Object.entries(decode_ms).map(([x, y]) => [Number(x), y] as const));
  const maxX = Math.max(...points.flat().map(([x]) => x));
  const maxY = Math.max(...points.flat().map(([, y]) => y)) * 1.05;
  const across = (x: number): number => LEFT + (x / maxX) * (WIDTH - LEFT - RIGHT);
  const up = (y: number): number => HEIGHT - BOTTOM - (y / maxY) * (HEIGHT - BOTTOM - TOP);
  const step = 10 ** Math.floor(Math.log10(maxY)) / (maxY / 10 ** Math.floor(Math.log10(maxY)) < 3 ? 2 : 1);
  const ticks = Array.from({ length: Math.floor(maxY / step) + 1 }, (_, i) => i * step);
  const text = (x: number, y: number, words: string, more = ''): string =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${words}</text>`;
  const drawn = lines.map(({ name }, i) => {
    const path = points[i].map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(' ');
    const [x, y] = points[i].at(-1)!;
    const color = COLORS[i % COLORS.length];
    const line = `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>`;
    return line + text(across(x) + 8, up(y) + 4, name, `fill="${color}"`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${ticks.map((y) => `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${up(y)}" y2="${up(y)}" stroke="#ddd"/>${text(LEFT - 8, up(y) + 4, String(y), 'text-anchor="end"')}`).join('\n')}
${[0, 250, 500, 750, 1000].map((x) => text(across(x), HEIGHT - BOTTOM + 18, String(x), 'text-anchor="middle"')).join('\n')}
${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, 'tokens cached', 'text-anchor="middle"')}
${text(14, HEIGHT / 2, 'ms per token', `transform="rotate(-90 14 ${HEIGHT / 2})" text-anchor="middle"`)}
${drawn.join('\n')}
</svg>
`;
}
