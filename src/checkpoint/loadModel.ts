import type { LoadedModel } from '../../accel/session.js';
import type { HubOptions } from '../folder/hub/connection.js';
import { openModelFolder } from '../folder/openByName.js';
import { describeModel, readModel, type InspectReport, type LoadOptions, type LoadReport } from './readModel.js';

export type { InspectReport, LoadOptions, LoadReport } from './readModel.js';

/**
 * Loads a model by name, from a folder on disk or from the Hugging Face Hub.
 *
 * @param model a folder, or `org/name` or `org/name@revision`
 * @throws ConfigError, CheckpointError or HubError with a one-line message that names the file and the fault.
 */
export async function loadModel(
  model: string,
  options: LoadOptions & HubOptions = {},
): Promise<{ model: LoadedModel; report: LoadReport }> {
  return readModel(await openModelFolder(model, options), options);
}

/**
 * Describes a model by name, reading none of its weights but the embedding table, from a folder on disk or from the Hugging Face Hub.
 *
 * @throws as {@link loadModel}
 */
export async function inspectModel(model: string, options: LoadOptions & HubOptions = {}): Promise<InspectReport> {
  return describeModel(await openModelFolder(model, options), options);
}
