import { EmergentError } from '../reference/lib/errors.js';

/** A device that is not there, cannot hold what it was given, or was lost. */
export class DeviceError extends EmergentError {
  override name = 'DeviceError';
}
