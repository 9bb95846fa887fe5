import { InvalidArgumentError } from 'commander';

/** The parser of an option, for commander, which puts the option's name before the message. */
export type Parser<T> = (text: string) => T;

const LOWEST = -Infinity;
const HIGHEST = Infinity;

/** Integers from `min` to `max` that float64 represents exactly. */
export function integer(min: number = LOWEST, max: number = HIGHEST): Parser<number> {
  const wanted = `an integer${rangeOf(min, max)}`;
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value) || value < min || value > max) throw fault(wanted, text);
    return value;
  };
}

/** Finite numbers from `min` to `max`; `above` leaves out `min` itself. */
export function decimal(
  min: number,
  max: number = HIGHEST,
  { above = false }: { above?: boolean } = {},
): Parser<number> {
  const wanted = above ? `a number above ${min} and at most ${max}` : `a number${rangeOf(min, max)}`;
  return (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (!Number.isFinite(value) || value < min || value > max || (above && value === min)) throw fault(wanted, text);
    return value;
  };
}

/** Lists such as `1,2,3`. */
export function integers(what: string, min: number): Parser<number[]> {
  const parse = integer(min);
  return (text) => {
    if (!/^\s*\d+(\s*,\s*\d+)*\s*$/.test(text)) throw fault(`a list of ${what} such as 1,2,3`, text);
    return text.split(',').map((item) => parse(item.trim()));
  };
}

function rangeOf(min: number, max: number): string {
  if (max !== HIGHEST) return ` from ${min} to ${max}`;
  return min === LOWEST ? '' : ` of at least ${min}`;
}

/** commander quotes the value itself, in full. */
function fault(wanted: string, text: string): InvalidArgumentError {
  return new InvalidArgumentError(text.trim() === '' ? `It is empty; it must be ${wanted}.` : `It must be ${wanted}.`);
}
