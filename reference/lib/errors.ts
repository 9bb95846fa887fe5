/**
 * Every fault that a caller can cause is an {@link EmergentError} whose message is one line that names the thing and
 * the fault. Anything else that is thrown is a bug of ours.
 */
export class EmergentError extends Error {
  override name = 'EmergentError';
}

/** An op was given tensors that do not fit each other. */
export class ShapeError extends EmergentError {
  override name = 'ShapeError';
}

/** An argument outside of what a function takes: a token id, a temperature, a length. */
export class InputError extends EmergentError {
  override name = 'InputError';
}

/** What `error` has to say, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
