import { EmergentError } from '../../reference/lib/errors.js';

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
