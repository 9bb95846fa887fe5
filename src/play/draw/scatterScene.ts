import type { Country } from '../compute/protocol.js';
import { cssColor } from './canvas.js';

/** What a scatter plot shows at a moment. */
export interface Scene {
  points: Float32Array;
  countries: readonly Country[];
  continents: readonly string[];
  chosen: number;
  near: readonly number[];
  /** -1 for none. */
  hovered: number;
}

/** Pixels left free on each side. */
const MARGIN = 24;

/** Shapes by continent, so that color alone carries no meaning. In SVG's path language, about (0, 0). */
export const SHAPES: readonly string[] = [
  'M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z', // circle
  'M-4.5-4.5H4.5V4.5H-4.5Z', // square
  'M0-6L5.5 4H-5.5Z', // triangle
  'M0-6.5L6 0L0 6.5L-6 0Z', // diamond
  'M-2-5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z', // cross
];

/** Where points lie on a canvas that shows all of them, as large as they fit. */
export function placesOf(points: Float32Array, width: number, height: number): [number, number][] {
  const xs = points.filter((_, i) => i % 2 === 0);
  const ys = points.filter((_, i) => i % 2 === 1);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((width - 2 * MARGIN) / (right - left || 1), (height - 2 * MARGIN) / (high - low || 1));
  const [middleX, middleY] = [(left + right) / 2, (low + high) / 2];
  return Array.from(xs, (x, n) => [width / 2 + (x - middleX) * scale, height / 2 - (ys[n] - middleY) * scale]);
}

export function drawScatter(canvas: HTMLCanvasElement, scene: Scene): void {
  const { points, countries, continents, chosen, near, hovered } = scene;
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(devicePixelRatio, 2);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const places = placesOf(points, width, height);

  context.strokeStyle = cssColor('--soft');
  context.lineWidth = 1;
  context.beginPath();
  for (const other of near) {
    context.moveTo(...places[chosen]);
    context.lineTo(...places[other]);
  }
  context.stroke();

  const shapes = SHAPES.map((path) => new Path2D(path));
  const colors = continents.map((_, n) => cssColor(`--continent-${n}`));
  const paper = cssColor('--paper');
  const strong = new Set([chosen, ...near]);
  countries.forEach(({ continent }, n) => {
    const kind = continents.indexOf(continent);
    context.save();
    context.translate(...places[n]);
    const scale = n === chosen ? 1.6 : 1;
    context.scale(scale, scale);
    context.globalAlpha = strong.has(n) || n === hovered ? 1 : 0.7;
    context.fillStyle = colors[kind];
    context.fill(shapes[kind]);
    context.strokeStyle = n === chosen ? cssColor('--ink') : paper;
    context.stroke(shapes[kind]);
    context.restore();
  });
  drawLabels(context, width, places, hovered >= 0 ? [hovered, chosen, ...near] : [chosen, ...near], scene);
}

/** Names beside their points; one that would cover another is left out. */
function drawLabels(
  context: CanvasRenderingContext2D,
  width: number,
  places: readonly (readonly [number, number])[],
  order: readonly number[],
  { countries, chosen, hovered }: Scene,
): void {
  const taken: { x: number; y: number; length: number }[] = [];
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  for (const n of new Set(order)) {
    const isMain = n === chosen || n === hovered;
    context.font = `${isMain ? 600 : 400} 12px system-ui, sans-serif`;
    const text = countries[n].name;
    const length = context.measureText(text).width;
    const [px, y] = places[n];
    const x = px + 10 + length > width ? px - 10 - length : px + 10;
    if (taken.some((t) => Math.abs(t.y - y) < 14 && x < t.x + t.length + 4 && t.x < x + length + 4)) continue;
    taken.push({ x, y, length });
    context.lineWidth = 4;
    context.strokeStyle = cssColor('--paper');
    context.strokeText(text, x, y);
    context.fillStyle = cssColor(isMain ? '--ink' : '--soft');
    context.fillText(text, x, y);
  }
}
