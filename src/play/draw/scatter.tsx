import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Country } from '../compute/protocol.js';
import { onThemeChange } from '../theme.js';
import { drawScatter, placesOf, type Scene } from './scatterScene.js';

/** Milliseconds from one layer to the next. */
const TRAVEL = 700;
/** How near the pointer must come to a point, in CSS pixels. */
const REACH = 18;

interface ScatterProps {
  countries: readonly Country[];
  continents: readonly string[];
  /** x and y of each country. */
  points: Float32Array;
  chosen: number;
  near: readonly number[];
  label: string;
  onPick: (country: number) => void;
}

/** Countries as points, which travel when their places change. */
export function Scatter({ points, countries, continents, chosen, near, label, onPick }: ScatterProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = useRef(points);
  const [hovered, setHovered] = useState(-1);
  const redraw = useRef<() => void>(() => undefined);
  redraw.current = () => {
    if (!canvas.current) return; // a frame may be due after the reader has left the view
    const scene: Scene = { points: shown.current, countries, continents, chosen, near, hovered };
    drawScatter(canvas.current, scene);
  };

  useEffect(() => {
    const draw = (): void => {
      redraw.current();
    };
    const observer = new ResizeObserver(draw);
    observer.observe(canvas.current!);
    const stop = onThemeChange(draw);
    return () => {
      observer.disconnect();
      stop();
    };
  }, []);
  useEffect(() => {
    redraw.current();
  }, [chosen, near, hovered]);
  useEffect(() => {
    const from = shown.current;
    if (from === points || matchMedia('(prefers-reduced-motion: reduce)').matches) {
      shown.current = points;
      redraw.current();
      return undefined;
    }
    const start = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const share = Math.min(1, Math.max(0, (now - start) / TRAVEL));
      const eased = share * share * (3 - 2 * share);
      shown.current = share === 1 ? points : from.map((x, i) => x + (points[i] - x) * eased);
      redraw.current();
      if (share < 1) frame = requestAnimationFrame(step);
    });
    return () => {
      cancelAnimationFrame(frame);
    };
  }, [points]);

  function countryAt(event: MouseEvent): number {
    const { left, top, width, height } = canvas.current!.getBoundingClientRect();
    let best = -1;
    let least = REACH;
    for (const [n, [x, y]] of placesOf(shown.current, width, height).entries()) {
      const distance = Math.hypot(x - (event.clientX - left), y - (event.clientY - top));
      if (distance < least) [best, least] = [n, distance];
    }
    return best;
  }
  return (
    <canvas
      class="scatter"
      ref={canvas}
      role="img"
      aria-label={label}
      onPointerMove={(event) => {
        setHovered(countryAt(event));
      }}
      onPointerLeave={() => {
        setHovered(-1);
      }}
      onClick={(event) => {
        const at = countryAt(event);
        if (at >= 0) onPick(at);
      }}
    />
  );
}
