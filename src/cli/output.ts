import { SingleBar } from 'cli-progress';

/** The bar that is on the terminal now. */
let shown: SingleBar | null = null;

/** Takes the bar from the terminal, and with it the timer that would keep this process alive. */
export function endProgress(): void {
  shown?.stop();
  shown = null;
}

/** Says something on stderr beside the result. */
export function note(line: string): void {
  endProgress();
  process.stderr.write(`emergent: ${line}\n`);
}

/** A number of bytes as people read it. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power - 1]}`;
}

/** Rows of cells under each other; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  return rows
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

/** Shows on a terminal how far something has come, once it has taken long enough to wonder. */
export function progressBar(
  what: string,
  format: (amount: number) => string = formatBytes,
): (done: number, total: number) => void {
  if (!process.stderr.isTTY) return () => undefined;
  const begun = Date.now();
  let bar: SingleBar | null = null;
  return (done, total) => {
    if (!bar && (done === total || Date.now() - begun < 300)) return;
    if (!bar || bar !== shown) {
      endProgress();
      shown = bar = new SingleBar({
        format: `${what} {bar} {done} of {all}`,
        clearOnComplete: true,
        linewrap: true, // else the terminal would stay without it after Ctrl-C
        stream: process.stderr,
      });
      bar.start(total, 0, { done: '', all: '' });
    }
    bar.update(done, { done: format(done), all: format(total) });
    if (done === total) endProgress();
  };
}

/** Passes pieces of a file on and shows how many bytes that makes. */
export function* counted(pieces: Iterable<Uint8Array>, total: number): Generator<Uint8Array> {
  const show = progressBar('writing');
  let done = 0;
  for (const piece of pieces) {
    yield piece;
    done += piece.length;
    show(Math.min(done, total), total);
  }
}
