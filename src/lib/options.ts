import { InputError } from '../../reference/lib/errors.js';
import { visible } from './quote.js';

/**
 * Checks that an options object has no unknown names, such as misspelled ones.
 *
 * @throws InputError that names the first unknown option and lists the known ones.
 */
export function requireKnownOptions(options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InputError(`options must be an object, got ${showValue(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InputError(`unknown option '${visible(unknown)}'; choose from: ${known.join(', ')}`);
  }
}

/** @throws InputError that says what an option must be and what it is. */
export function requireOption(holds: boolean, name: string, wanted: string, got: unknown): void {
  if (!holds) throw new InputError(`${name} must be ${wanted}, got ${showValue(got)}`);
}

/** Formats an option's value for a message: strings in quotes, so that '3' is not mistaken for 3. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return `'${visible(value)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value);
}
