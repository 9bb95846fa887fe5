import type { JSX } from 'preact';
import type { GraphNode } from '../../verify/graph.js';

/** What a link of the figure leads to. */
export interface Place {
  op: string;
  layer: number;
}

export interface FigureProps {
  graph: readonly GraphNode[];
  /** L */
  layers: number;
  /** H, to draw the heads' share of attention. */
  current: Place;
  href: (place: Place) => string;
}

const WIDTH = 280;
const BOX = 26;
const GAP = 10;
/** The residual stream runs down here; boxes begin to its right. */
const STREAM = 22;
const LEFT = 44;
const RIGHT = WIDTH - 12;

/** Activations that are computed side by side. */
const TOGETHER = [
  ['q', 'k', 'v'],
  ['q_rot', 'k_rot'],
];

interface Box {
  node: GraphNode;
  op: string;
  x: number;
  y: number;
  width: number;
}

/**
 * The architecture as a figure whose boxes are links: from the tokens at the top to the scores at the bottom, with one
 * block between them. The residual stream is the line on the left: boxes that read it have a line from it, sums lie on it.
 */
export function Figure({ graph, layers, current, href }: FigureProps): JSX.Element {
  const shown = graph.filter(({ name }) => !name.startsWith('layers.') || name.startsWith(`layers.${current.layer}.`));
  const { boxes, frame, height } = layOut(shown);
  const isStream = (name: string): boolean => /^expanded$|resid|resid_mid$/.test(name);
  const middle = BOX / 2;
  const first = boxes.find(({ op }) => op === 'expanded')!;
  const last = boxes.find(({ op }) => op === 'final_norm') ?? boxes.at(-1)!;
  return (
    <svg class="figure" viewBox={`0 0 ${WIDTH} ${height}`} role="group" aria-label="The architecture: choose an op">
      <rect class="frame" x={4} y={frame.top} width={WIDTH - 8} height={frame.bottom - frame.top} rx={3} />
      <text class="layer" x={LEFT} y={frame.top + 19}>
        Layer
      </text>
      {Array.from({ length: layers }, (_, layer) => {
        const step = Math.min(26, (RIGHT - LEFT - 42) / layers);
        const x = LEFT + 42 + step * (layer + 0.5);
        return (
          <a
            key={layer}
            class="pick"
            href={href({ op: current.op, layer })}
            aria-label={`Layer ${layer}`}
            aria-current={layer === current.layer ? 'true' : undefined}
          >
            <rect x={x - step / 2 + 2} y={frame.top + 5} width={step - 4} height={20} rx={2} />
            <text class="middle" x={x} y={frame.top + 19}>
              {layer}
            </text>
          </a>
        );
      })}
      <path class="stream" d={`M${STREAM} ${first.y + BOX} V${last.y + middle}`} />
      <path class="stream" d={`M${LEFT} ${first.y + middle} H${STREAM} V${first.y + BOX}`} />
      {boxes.map(({ node, op, x, y, width }) => {
        const isSum = node.op === 'add';
        const reads = !isSum && x === LEFT && node.inputs.some(isStream);
        return (
          <g key={op}>
            {reads && <path class="wire" d={`M${STREAM} ${y + middle} H${LEFT}`} />}
            {isSum && <path class="wire" d={`M${LEFT} ${y + middle} H${STREAM + 7}`} />}
            {isSum && <circle class="sum" cx={STREAM} cy={y + middle} r={7} />}
            {isSum && <path class="plus" d={`M${STREAM - 4} ${y + middle} h8 M${STREAM} ${y + middle - 4} v8`} />}
            {!reads && op !== 'embedding' && <path class="wire" d={`M${x + width / 2} ${y - GAP} V${y}`} />}
            {op === 'v' && <path class="wire" d={`M${x + width / 2} ${y + BOX} V${y + 3 * (BOX + GAP)}`} />}
            <a
              class={op === 'embedding' || op === 'expanded' ? 'box frozen' : 'box'}
              href={href({ op, layer: current.layer })}
              aria-current={op === current.op ? 'true' : undefined}
            >
              <rect x={x} y={y} width={width} height={BOX} rx={3} />
              <text class={width < 100 ? 'middle' : ''} x={width < 100 ? x + width / 2 : x + 9} y={y + 17}>
                {op}
              </text>{' '}
              {width >= 200 && (
                <text class="op" x={x + width - 9} y={y + 17}>
                  {node.op}
                </text>
              )}
            </a>
          </g>
        );
      })}
    </svg>
  );
}

/** Places one row after the other, in order of execution. */
function layOut(nodes: readonly GraphNode[]): {
  boxes: Box[];
  frame: { top: number; bottom: number };
  height: number;
} {
  const boxes: Box[] = [];
  const frame = { top: 0, bottom: 0 };
  let y = 2;
  let inBlock = false;
  for (let n = 0; n < nodes.length;) {
    const op = opOf(nodes[n].name);
    const isBlock = nodes[n].name.startsWith('layers.');
    if (isBlock && !inBlock) {
      frame.top = y;
      y += 30 + GAP;
    }
    if (!isBlock && inBlock) {
      frame.bottom = y;
      y += GAP;
    }
    inBlock = isBlock;
    const count = TOGETHER.find((names) => names[0] === op)?.length ?? 1;
    const third = (RIGHT - LEFT - 12) / 3;
    // the values pass by the attention weights, which do not read them
    const width = count > 1 ? third : op === 'attn_weights' ? 2 * third + 6 : RIGHT - LEFT;
    for (let i = 0; i < count; i++) {
      const node = nodes[n + i];
      boxes.push({ node, op: opOf(node.name), x: LEFT + i * (width + 6), y, width });
    }
    n += count;
    y += BOX + GAP;
  }
  return { boxes, frame, height: y - GAP + 2 };
}

/** `attn_norm` of `layers.3.attn_norm`. */
export function opOf(name: string): string {
  return name.replace(/^layers\.\d+\./, '');
}
