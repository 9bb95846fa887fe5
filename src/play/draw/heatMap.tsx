import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isDark, onThemeChange } from '../theme.js';
import { colorIndex, colorTable } from './colors.js';
import { digits, distance, visibleToken } from './text.js';

export interface HeatMapProps {
  /** What the map shows, for the caption and screen readers. */
  name: string;
  /** [rows, columns], row-major. */
  data: Float32Array;
  shape: readonly [rows: number, columns: number];
  /** The same elements by PyTorch; NaN where unknown. */
  truth?: Float64Array | null;
  /** `truth` holds every step-th element. */
  step?: number;
  /** The name of each row. */
  labels: readonly string[];
  columnLabel?: (column: number) => string;
  row: number;
  column: number;
  onPick: (row: number, column: number) => void;
  /** What stands right below the cells, in their columns. */
  below?: ComponentChildren;
}

/** The share of the elements that the color scale covers; outliers get its last color. */
const COVERED = 0.995;
const MAX_SORTED = 4096;

/**
 * A matrix as colors, one pixel an element, scaled up by the browser. Arrow keys or the pointer move over the elements; the
 * line below it shows the number under the pointer, otherwise the chosen one.
 */
export function HeatMap(props: HeatMapProps): JSX.Element {
  const { name, data, shape, truth, labels, row, column, onPick } = props;
  const [rows, columns] = shape;
  const canvas = useRef<HTMLCanvasElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<readonly [number, number] | null>(null);
  const limit = useMemo(() => coveredLimit(data), [data]);

  useEffect(() => {
    const draw = (): void => {
      paint(canvas.current!, data, shape, limit);
    };
    draw();
    return onThemeChange(draw);
  }, [data, rows, columns, limit]);

  // a long prompt scrolls within the map: keep the chosen row in view
  useEffect(() => {
    const box = grid.current!;
    const height = box.scrollHeight / rows;
    const top = Math.min(row, rows - 1) * height;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
  }, [row, rows]);

  const [r, c] = hovered ?? [Math.min(row, rows - 1), Math.min(column, columns - 1)];
  function cellAt(event: MouseEvent): readonly [number, number] {
    const box = canvas.current!.getBoundingClientRect();
    const at = (offset: number, size: number, count: number): number =>
      Math.max(0, Math.min(count - 1, Math.floor((offset / size) * count)));
    return [at(event.clientY - box.top, box.height, rows), at(event.clientX - box.left, box.width, columns)];
  }
  function onKeyDown(event: KeyboardEvent): void {
    const far = event.shiftKey ? 10 : 1;
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -far], ArrowRight: [0, far] }[event.key];
    if (!move) return;
    event.preventDefault();
    setHovered(null);
    const clamp = (x: number, count: number): number => Math.max(0, Math.min(count - 1, x));
    onPick(clamp(r + move[0], rows), clamp(c + move[1], columns));
  }

  return (
    <figure class="map">
      <figcaption>
        <span class="name">{name}</span> <span class="shape">{`[${rows}, ${columns}]`}</span>
        <Scale limit={limit} isSigned={data.some((x) => x < 0)} />
      </figcaption>
      <div class="grid" ref={grid}>
        <ol class="rows" aria-hidden="true">
          {labels.map((label, n) => (
            <li
              key={n}
              class={n === r ? 'chosen' : ''}
              onClick={() => {
                onPick(n, c);
              }}
            >
              <bdi>{visibleToken(label)}</bdi>
            </li>
          ))}
        </ol>
        <div
          class="canvas"
          role="application"
          tabIndex={0}
          aria-label={`${name}: ${rows} rows, ${columns} columns. Arrow keys move over the elements.`}
          onKeyDown={onKeyDown}
          onPointerMove={(event) => {
            setHovered(cellAt(event));
          }}
          onPointerLeave={() => {
            setHovered(null);
          }}
          onClick={(event) => {
            onPick(...cellAt(event));
          }}
        >
          <canvas ref={canvas} width={columns} height={rows} />
          <span class="row-mark" style={{ top: `${(100 * r) / rows}%`, height: `${100 / rows}%` }} />
          <span
            class="cell-mark"
            style={{
              ...{ top: `${(100 * r) / rows}%`, height: `${100 / rows}%` },
              ...{ left: `${(100 * (c + 0.5)) / columns}%`, width: `max(7px, ${100 / columns}%)` },
            }}
          />
        </div>
      </div>
      {props.below}
      <Readout {...props} row={r} column={c} isLive={hovered === null} />
      <Comparison data={data} truth={truth ?? null} step={props.step ?? 1} />
    </figure>
  );
}

/** The number of an element, PyTorch's, and how far apart they are. */
function Readout(props: HeatMapProps & { isLive: boolean }): JSX.Element {
  const { data, shape, truth, labels, row, column, columnLabel, isLive } = props;
  const at = row * shape[1] + column;
  const value = data[at];
  const known = truth?.[at] ?? NaN;
  return (
    <p class="readout" aria-live={isLive ? 'polite' : 'off'}>
      <span class="place">
        <bdi>{visibleToken(labels[row] ?? '')}</bdi> [{row}, {column}]{columnLabel && ` ${columnLabel(column)}`}
      </span>
      <output class="value" data-value={value}>
        {digits(value)}
      </output>
      {!Number.isNaN(known) && (
        <span class="truth">
          PyTorch float64 <b data-truth={known}>{digits(known)}</b>, apart by {distance(Math.abs(value - known))}
        </span>
      )}
    </p>
  );
}

interface ComparisonProps {
  data: Float32Array;
  truth: Float64Array | null;
  step: number;
}

/** How far all elements are from PyTorch's, as far as these are known. */
function Comparison({ data, truth, step }: ComparisonProps): JSX.Element | null {
  const { known, largest } = useMemo(() => {
    let [count, worst] = [0, 0];
    truth?.forEach((value, n) => {
      if (Number.isNaN(value)) return;
      count++;
      worst = Math.max(worst, Math.abs(value - data[n]));
    });
    return { known: count, largest: worst };
  }, [data, truth]);
  if (known === 0) return null;
  return (
    <p class="comparison">
      {`PyTorch float64: ${known} elements known${step > 1 ? `, every ${step}th` : ''}; at most ${distance(largest)} apart.`}
    </p>
  );
}

function Scale({ limit, isSigned }: { limit: number; isSigned: boolean }): JSX.Element {
  return (
    <span class="scale" aria-hidden="true">
      {isSigned && `−${limit.toPrecision(3)}`}
      {!isSigned && '0'}
      <i class={isSigned ? 'signed' : 'unsigned'} />
      {limit.toPrecision(3)}
    </span>
  );
}

function paint(
  canvas: HTMLCanvasElement,
  data: Float32Array,
  [rows, columns]: readonly [number, number],
  limit: number,
): void {
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(columns, rows);
  const table = colorTable(isDark());
  for (let n = 0; n < data.length; n++) {
    const color = colorIndex(data[n] / limit);
    image.data[4 * n] = table[color];
    image.data[4 * n + 1] = table[color + 1];
    image.data[4 * n + 2] = table[color + 2];
    image.data[4 * n + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** The size that most elements stay below, from at most some thousands of them: sorting all would block the page. */
function coveredLimit(data: Float32Array): number {
  const step = Math.ceil(data.length / MAX_SORTED) | 1; // odd, so that it meets every column of an even width
  const sizes = Float32Array.from({ length: Math.ceil(data.length / step) }, (_, n) => Math.abs(data[n * step])).sort();
  const covered = sizes[Math.min(sizes.length - 1, Math.floor(COVERED * sizes.length))];
  const largest = sizes[sizes.length - 1];
  return [covered, largest].find((size) => size > 0) ?? 1;
}
