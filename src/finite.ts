import { EmergentError } from '../reference/lib/errors.js';

/** What to do about numbers that are not finite. */
export const CHECK_WEIGHTS = 'are the weights damaged, or the conventions in config.json wrong?';

/**
 * The gate for numbers that a model computed: none that is NaN or infinite reaches a user as a result.
 *
 * @param describe says what is wrong with a value, for the message
 * @throws EmergentError about the first value that is not finite.
 */
export function requireFinite(values: ArrayLike<number>, describe: (value: number, at: number) => string): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new EmergentError(`${describe(values[i], i)}: ${CHECK_WEIGHTS}`);
  }
}

/** {@link requireFinite} for an activation with a name. */
export function requireFiniteTensor(name: string, { data }: { readonly data: ArrayLike<number> }): void {
  requireFinite(data, (value, at) => `${name} contains ${value} at element ${at}`);
}
