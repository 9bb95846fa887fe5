/**
 * The base of all errors that a caller can cause. Its one-line message names the thing and the fault. Any other error that
 * is thrown is a bug in this project.
 */
export class EmergentError extends Error {
  override name = 'EmergentError';
}

/** Tensors whose shapes do not match. */
export class ShapeError extends EmergentError {
  override name = 'ShapeError';
}

/** An argument out of range: a token id, a temperature, a length. */
export class InputError extends EmergentError {
  override name = 'InputError';
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
