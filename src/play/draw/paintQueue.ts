/** Milliseconds of painting in one go: the page stays fluid below 50. */
const SLICE = 8;

const waiting: (() => void)[] = [];

/** Paints soon, in slices with pauses between them, for views with very many canvases. Returns how to take it back. */
export function paintSoon(paint: () => void): () => void {
  if (waiting.push(paint) === 1) setTimeout(paintSlice);
  return () => {
    const at = waiting.indexOf(paint);
    if (at > 0) waiting.splice(at, 1);
    else if (at === 0) waiting[0] = () => undefined; // keeps its place, which tells that a slice is due
  };
}

function paintSlice(): void {
  const end = performance.now() + SLICE;
  while (waiting.length > 0 && performance.now() < end) {
    waiting[0]();
    waiting.shift();
  }
  if (waiting.length > 0) setTimeout(paintSlice);
}
