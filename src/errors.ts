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

/** A model configuration that is incomplete or contradicts itself. */
export class ConfigError extends EmergentError {
  override name = 'ConfigError';
}

/** A checkpoint file that breaks the format, or tensors that do not make up a model. */
export class CheckpointError extends EmergentError {
  override name = 'CheckpointError';
}

/** A tokenizer that cannot be read or built, or text or ids that it cannot take. */
export class TokenizerError extends EmergentError {
  override name = 'TokenizerError';
}

/** An argument outside of what a function takes: a token id, a temperature, a length. */
export class InputError extends EmergentError {
  override name = 'InputError';
}

/** A device that is not there, cannot hold what it was given, or was lost. */
export class DeviceError extends EmergentError {
  override name = 'DeviceError';
}

/** A model that the Hugging Face Hub does not give: unknown, gated, out of reach, or not what was announced. */
export class HubError extends EmergentError {
  override name = 'HubError';
  /** The Hub could not be asked, so that what an earlier download left may stand in. */
  readonly unreachable: boolean;

  constructor(message: string, { unreachable = false }: { unreachable?: boolean } = {}) {
    super(message);
    this.unreachable = unreachable;
  }
}

/** What `error` has to say, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
