import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { TokenInfo } from '../compute/protocol.js';
import { cssColor, useCanvas } from './canvas.js';
import { Token } from './text.js';

/** The height of a token in CSS pixels; `attention.css` has the same. */
const ROW = 22;
/** Fainter weights get no line. */
export const FAINTEST = 0.02;

interface LinksProps {
  tokens: readonly TokenInfo[];
  /** One head's weights [T, T]. */
  weights: Float32Array;
  name: string;
  current: number;
  onPick: (token: number) => void;
}

/** The tokens twice: each one on the left takes from those on the right that it is linked to. */
export function Links({ tokens, weights, name, current, onPick }: LinksProps): JSX.Element {
  const T = tokens.length;
  const faint = useRef<HTMLCanvasElement>(null);
  const strong = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const id = useId();

  useCanvas(faint, [weights, T], (context, width) => {
    context.strokeStyle = cssColor('--soft');
    for (let t = 0; t < T; t++) line(context, width, weights, T, t, 0.4);
  });
  useCanvas(strong, [weights, T, current], (context, width) => {
    context.strokeStyle = cssColor('--accent');
    context.lineWidth = 2.5;
    line(context, width, weights, T, current, 1);
  });
  useEffect(() => {
    const scroller = box.current!;
    const top = current * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    if (top + ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + ROW - scroller.clientHeight;
  }, [current]);

  function onKeyDown(event: KeyboardEvent): void {
    const to = { ArrowUp: current - 1, ArrowDown: current + 1, Home: 0, End: T - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onPick(Math.max(0, Math.min(T - 1, to)));
  }
  return (
    <div class="links" ref={box}>
      <ol
        class="takes"
        role="listbox"
        tabIndex={0}
        aria-label={`${name}: tokens that take. Arrow keys choose one.`}
        aria-activedescendant={`${id}-${current}`}
        onKeyDown={onKeyDown}
      >
        {tokens.map(({ text }, t) => (
          <li
            key={t}
            id={`${id}-${t}`}
            role="option"
            aria-selected={t === current}
            onClick={() => {
              onPick(t);
            }}
          >
            <Token text={text} />
          </li>
        ))}
      </ol>
      <div class="lines" aria-hidden="true" style={{ height: `${T * ROW}px` }}>
        <canvas ref={faint} />
        <canvas ref={strong} />
      </div>
      {/* the list beside says the same in words */}
      <ol class="gives" aria-hidden="true">
        {tokens.map(({ text }, s) => (
          <li key={s} class={weights[current * T + s] >= FAINTEST ? 'given' : ''}>
            <i style={{ opacity: Math.sqrt(weights[current * T + s]) }} />
            <Token text={text} />
          </li>
        ))}
      </ol>
    </div>
  );
}

/** Lines from token t on the left to those it takes from, as opaque as the square root of their weight. */
function line(
  context: CanvasRenderingContext2D,
  width: number,
  weights: Float32Array,
  T: number,
  t: number,
  opacity: number,
): void {
  for (let s = 0; s <= t; s++) {
    const weight = weights[t * T + s];
    if (weight < FAINTEST) continue;
    context.globalAlpha = opacity * Math.sqrt(weight);
    context.beginPath();
    context.moveTo(0, (t + 0.5) * ROW);
    context.bezierCurveTo(width / 2, (t + 0.5) * ROW, width / 2, (s + 0.5) * ROW, width, (s + 0.5) * ROW);
    context.stroke();
  }
}
