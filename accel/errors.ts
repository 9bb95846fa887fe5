import { EmergentError, InputError } from '../reference/lib/errors.js';

/** A device that is not there, cannot hold what it was given, or was lost. */
export class DeviceError extends EmergentError {
  override name = 'DeviceError';
}

/** An entry of a batch that cannot be computed. The message names the entry and the fault. */
export class BatchError extends InputError {
  override name = 'BatchError';
  /** Index of the entry in the batch. */
  readonly entry: number;

  constructor(entry: number, fault: string) {
    super(`batch entry ${entry}: ${fault}`);
    this.entry = entry;
  }
}
