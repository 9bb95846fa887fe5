import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { EmergentError } from '../reference/lib/errors.js';

/** The full-size checkpoint; `npm run bench` writes it if it does not exist. */
export const CHECKPOINT: string = fileURLToPath(new URL('../checkpoints/model_64_float', import.meta.url));

/** For commander: names from a list, separated by commas. */
export function namesFrom(known: readonly string[]): (text: string) => string[] {
  return (text) => {
    const names = text.split(',');
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw new InvalidArgumentError(`Unknown name '${unknown}'; choose from: ${known.join(', ')}.`);
    }
    return names;
  };
}

/** For commander: an integer of 1 or more. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It is not an integer of 1 or more.');
  return Number(text);
}

// A user's mistake is reported in one line, without a stack.
process.on('uncaughtException', (error) => {
  process.stderr.write(`bench: ${error instanceof EmergentError ? error.message : (error.stack ?? error.message)}\n`);
  process.exit(1);
});
