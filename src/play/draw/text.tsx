import type { JSX } from 'preact';

/** The text of a token with its spaces and line ends visible. */
export function visibleToken(text: string): string {
  return text.replaceAll('\n', '⏎').replaceAll('\t', '⇥').replaceAll(' ', '␣');
}

/** A token set in type: its spaces are marks, and its letters run in their own direction. */
export function Token({ text }: { text: string }): JSX.Element {
  return (
    <bdi class="token">
      <Marked text={text} />
    </bdi>
  );
}

/** A text whose spaces and line ends are faint marks. */
export function Marked({ text }: { text: string }): JSX.Element {
  const parts = visibleToken(text).split(/([␣⏎⇥]+)/);
  return <>{parts.map((part, n) => (n % 2 === 1 ? <span class="mark">{part}</span> : part))}</>;
}

/** A share from 0 to 1, such as `99.8 %`, `0.03 %` or `< 0.01 %`. */
export function percent(p: number): string {
  if (p > 0 && p < 1e-4) return '< 0.01 %';
  if (p > 0.9995) return p === 1 ? '100 %' : '> 99.9 %';
  return `${(100 * p).toFixed(p < 0.00995 ? 2 : 1)} %`;
}

/** A number with about seven significant digits, as float32 has. */
export function digits(x: number): string {
  if (x === 0 || !Number.isFinite(x)) return String(x).replace('-', '−');
  const size = Math.abs(x);
  return (size >= 1e-3 && size < 1e5 ? x.toPrecision(8) : x.toExponential(7)).replace(/-/g, '−');
}

/** A small distance, such as `1.2e-8`. */
export function distance(x: number): string {
  return x === 0 ? '0' : x.toExponential(1).replace('-', '−');
}
