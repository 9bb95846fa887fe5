import { existsSync } from 'node:fs';
import { openFolder } from './diskFolder.js';
import { CheckpointError } from '../lib/errors.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from './folder.js';
import type { HubOptions } from './hub/connection.js';
import { parseHubId } from './hub/id.js';

/**
 * Opens a model by what it is called: a folder on disk or, where there is none of that name, an id of the Hugging Face
 * Hub, `org/name` or `org/name@revision`, which is downloaded as it is read and cached.
 *
 * @throws CheckpointError, HubError or InputError, one line that names the model and the fault.
 */
export async function openModelFolder(model: string, options: HubOptions = {}): Promise<Folder> {
  if (existsSync(model)) {
    if (options.revision === undefined) return openFolder(model);
    throw new InputError(`${model} is a folder here: a revision is only for models of the Hugging Face Hub`);
  }
  const id = parseHubId(model, options.revision);
  if (!id && /^[\w.-]+$/.test(model)) {
    throw new CheckpointError(`${model} does not exist; a model of the Hugging Face Hub is called org/name`);
  }
  if (!id) return openFolder(model); // which says why not
  const { openHubFolder } = await import('./hub/hubFolder.js');
  return openHubFolder(id, options);
}
