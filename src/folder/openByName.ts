import { existsSync } from 'node:fs';
import { openFolder } from './diskFolder.js';
import { CheckpointError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from './folder.js';
import type { HubOptions } from './hub/connection.js';
import { parseHubId } from './hub/id.js';

/**
 * Opens a model by name. The name is a folder on disk; if no such folder exists, it is an id on the Hugging Face Hub,
 * `org/name`, `org/name@revision` or the URL of its page. Files from the Hub are downloaded when they are read, and cached.
 *
 * @throws CheckpointError, HubError or InputError with a one-line message that names the model and the fault.
 */
export async function openModelFolder(model: string, options: HubOptions = {}): Promise<Folder> {
  if (existsSync(model)) {
    if (options.revision === undefined) return openFolder(model);
    throw new InputError(`${model} is a local folder; only models on the Hugging Face Hub have revisions`);
  }
  const id = parseHubId(model, options.revision, process.env.HF_ENDPOINT);
  if (!id && /^[\w.-]+$/.test(model)) {
    throw new CheckpointError(`${model} does not exist; models on the Hugging Face Hub are named org/name`);
  }
  if (!id) return openFolder(model); // throws the error that says what is wrong with the path
  const { openHubFolder } = await import('./hub/hubFolder.js');
  return openHubFolder(id, options);
}
