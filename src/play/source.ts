/** A piece of a line of source, and its class in `style.css`. */
export type Span = readonly [text: string, kind: string];

/** A file of `reference/` as the page shows it. */
export interface OpSource {
  /** The file as it is. */
  text: string;
  lines: readonly (readonly Span[])[];
  /** The first paragraph of the docstring. */
  prose: string;
  /** The formula in the docstring, possibly of several lines. */
  formula: string;
  /** The lines of the function that the file is named after: from `start`, before `end`, counted from 0. */
  start: number;
  end: number;
}

const FILES = import.meta.glob<OpSource>('../../reference/*.ts', { query: '?highlighted', import: 'default' });

/** Loads `reference/NAME.ts`. */
export function loadSource(name: string): Promise<OpSource> {
  return FILES[`../../reference/${name}.ts`]();
}
