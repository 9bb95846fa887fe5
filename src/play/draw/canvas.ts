import { useEffect } from 'preact/hooks';
import { onThemeChange } from '../theme.js';
import { paintSoon } from './paintQueue.js';

/** Draws on a canvas as large as its place, again when that, the theme or `keys` change. */
export function useCanvas(
  ref: { current: HTMLCanvasElement | null },
  keys: readonly unknown[],
  draw: (context: CanvasRenderingContext2D, width: number, height: number) => void,
): void {
  useEffect(() => {
    const canvas = ref.current!;
    const redraw = (): void => {
      const { clientWidth: width, clientHeight: height } = canvas;
      const scale = Math.min(devicePixelRatio, 2);
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const context = canvas.getContext('2d')!;
      context.scale(scale, scale);
      draw(context, width, height);
    };
    let cancel: () => void = () => undefined;
    // calls back at once, too; painted in a task of its own, so that none takes long
    const observer = new ResizeObserver(() => {
      cancel();
      cancel = paintSoon(redraw);
    });
    observer.observe(canvas);
    const stop = onThemeChange(redraw);
    return () => {
      observer.disconnect();
      cancel();
      stop();
    };
  }, keys);
}

/** The value of a color variable of `style.css`. */
export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
