/** A color as red, green and blue from 0 to 255. */
export type Rgb = readonly [number, number, number];

/**
 * Blue for positive numbers, orange for negative ones, and the paper for 0: the two hues that people with any common kind
 * of color blindness tell apart. Steps of |value| / limit from 0 to 1.
 */
const LIGHT: { positive: readonly Rgb[]; negative: readonly Rgb[] } = {
  positive: [
    [250, 249, 246],
    [176, 205, 232],
    [84, 147, 201],
    [24, 84, 150],
    [8, 40, 92],
  ],
  negative: [
    [250, 249, 246],
    [250, 208, 152],
    [234, 146, 56],
    [178, 88, 10],
    [98, 44, 4],
  ],
};
const DARK: typeof LIGHT = {
  positive: [
    [27, 29, 33],
    [28, 66, 110],
    [44, 116, 184],
    [120, 182, 236],
    [222, 240, 255],
  ],
  negative: [
    [27, 29, 33],
    [98, 54, 14],
    [184, 100, 24],
    [240, 164, 84],
    [255, 236, 206],
  ],
};

/** Steps of a color table: fine enough for no visible bands. */
const STEPS = 256;

/** Colors for −1 to 1 as bytes of red, green and blue: index `STEPS + round(STEPS · x)`. */
export function colorTable(isDark: boolean): Uint8ClampedArray {
  const { positive, negative } = isDark ? DARK : LIGHT;
  const table = new Uint8ClampedArray(3 * (2 * STEPS + 1));
  for (let n = -STEPS; n <= STEPS; n++) {
    table.set(between(n < 0 ? negative : positive, Math.abs(n) / STEPS), 3 * (n + STEPS));
  }
  return table;
}

/** Where the color of x lies in a {@link colorTable}; beyond ±1 it is the last one's. */
export function colorIndex(x: number): number {
  return 3 * (STEPS + Math.round(STEPS * Math.max(-1, Math.min(1, x))));
}

function between(stops: readonly Rgb[], x: number): Rgb {
  const at = x * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const share = at - low;
  const [a, b] = [stops[low], stops[low + 1]];
  return [0, 1, 2].map((c) => a[c] + (b[c] - a[c]) * share) as unknown as Rgb;
}
