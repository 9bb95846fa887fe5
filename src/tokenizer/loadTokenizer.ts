import type { HubOptions } from '../folder/hub/connection.js';
import { openModelFolder } from '../folder/openByName.js';
import { readTokenizer } from './readTokenizer.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Loads a tokenizer by model name, from a folder on disk or from the Hugging Face Hub.
 *
 * @throws TokenizerError that names the file and the fault, or CheckpointError or HubError if the model cannot be opened.
 */
export async function loadTokenizer(model: string, options: HubOptions = {}): Promise<Tokenizer> {
  return readTokenizer(await openModelFolder(model, options));
}
