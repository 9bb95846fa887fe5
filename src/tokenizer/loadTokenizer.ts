import type { HubOptions } from '../folder/hub/connection.js';
import { openModelFolder } from '../folder/openByName.js';
import { readTokenizer } from './readTokenizer.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Loads the tokenizer of a model folder on disk or of a model of the Hugging Face Hub.
 *
 * @throws TokenizerError that names the file and what is wrong with it, CheckpointError or HubError if there is no such
 *   model.
 */
export async function loadTokenizer(model: string, options: HubOptions = {}): Promise<Tokenizer> {
  return readTokenizer(await openModelFolder(model, options));
}
