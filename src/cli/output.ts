import { SingleBar } from 'cli-progress';
import { visible, visibleText } from '../lib/quote.js';

/** The progress bar on the terminal. */
let shown: SingleBar | null = null;

/** Removes the progress bar and its timer, which would keep the process alive. */
export function endProgress(): void {
  shown?.stop();
  shown = null;
}

/** Prints one line to stderr, apart from the result on stdout. */
export function note(line: string): void {
  say(`emergent: ${line}`);
}

/** Prints one line to stderr as it is. */
export function say(line: string): void {
  endProgress();
  process.stderr.write(`${visible(line)}\n`);
}

/** Prints a result as one line of JSON, in which numbers that are not finite are strings: JSON has no other word for them. */
export function printJson(result: unknown): void {
  const json = JSON.stringify(result, named);
  // JSON.stringify leaves these control characters as they are; a terminal would run them.
  process.stdout.write(`${json.replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped)}\n`);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Writes generated text: as it is into a pipe or a file, and without codes that a terminal would run. */
export function printText(text: string): void {
  process.stdout.write(process.stdout.isTTY ? visibleText(text) : text);
}

function named(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** Formats a number of bytes, such as `1.09 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power - 1]}`;
}

/** Aligns cells in columns. Numbers are aligned on the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const shown = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell : visible(cell))));
  const widths = rows[0].map((_, column) =>
    shown.reduce((width, row) => Math.max(width, String(row[column]).length), 0),
  );
  return shown
    .map((row) =>
      row
        .map((cell, column) =>
          typeof cell === 'number' ? String(cell).padStart(widths[column]) : cell.padEnd(widths[column]),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Shows progress on a terminal, but not for work that takes less than 0.3 s. */
export function progressBar(
  what: string,
  format: (amount: number) => string = formatBytes,
): (done: number, total: number) => void {
  if (!process.stderr.isTTY) return () => undefined;
  const start = Date.now();
  let bar: SingleBar | null = null;
  return (done, total) => {
    if (!bar && (done === total || Date.now() - start < 300)) return;
    if (!bar || bar !== shown) {
      endProgress();
      shown = bar = new SingleBar({
        format: `${visible(what)} {bar} {done} of {all}`,
        clearOnComplete: true,
        linewrap: true, // otherwise the terminal would stop wrapping lines after Ctrl-C
        stream: process.stderr,
      });
      bar.start(total, 0, { done: '', all: '' });
    }
    bar.update(done, { done: format(done), all: format(total) });
    if (done === total) endProgress();
  };
}

/** Passes on the pieces of a file and shows how many bytes were written. */
export function* counted(pieces: Iterable<Uint8Array>, total: number): Generator<Uint8Array> {
  const show = progressBar('writing');
  let done = 0;
  for (const piece of pieces) {
    yield piece;
    done += piece.length;
    show(Math.min(done, total), total);
  }
}
