import { EmergentError } from '../../reference/lib/errors.js';

/** A model configuration is incomplete or contradicts itself. */
export class ConfigError extends EmergentError {
  override name = 'ConfigError';
}

/** A checkpoint file is malformed, or its tensors do not form a model. */
export class CheckpointError extends EmergentError {
  override name = 'CheckpointError';
}

/** A tokenizer cannot be read or built, or cannot process a text or ids. */
export class TokenizerError extends EmergentError {
  override name = 'TokenizerError';
}

/** A model cannot be downloaded from the Hugging Face Hub: it is unknown, gated, unreachable, or sent incorrectly. */
export class HubError extends EmergentError {
  override name = 'HubError';
  /** Whether the Hub could not be reached, so that a cached copy may be used instead. */
  readonly unreachable: boolean;

  constructor(message: string, { unreachable = false }: { unreachable?: boolean } = {}) {
    super(message);
    this.unreachable = unreachable;
  }
}
