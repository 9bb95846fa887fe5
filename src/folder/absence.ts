import { CheckpointError } from '../lib/errors.js';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Files that a complete model may lack. */
const OPTIONAL = [WEIGHTS, INDEX, 'tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json'];

/**
 * Tells which answers of a host mean that a file does not exist. It is not always 404: some hosts answer 403, or send their
 * start page. For files that every model has, those answers are faults.
 */
export class Absence {
  readonly #pathOf: (file: string) => string;
  #refusal = '';

  constructor(pathOf: (file: string) => string) {
    this.#pathOf = pathOf;
  }

  /**
   * Whether a response means that the file does not exist. Ends that response.
   *
   * @throws CheckpointError if that leaves no weights, and the host did not plainly say that there are none.
   */
  async isMeantBy(file: string, response: Response): Promise<boolean> {
    const isPage = isWebPage(response);
    const isAbsent = response.status === 404 || (OPTIONAL.includes(file) && (response.status === 403 || isPage));
    if (!isAbsent) return false;
    await cancelBody(response);
    if (file === WEIGHTS && response.status !== 404) {
      const what = isPage ? 'the server sent a web page' : `HTTP ${response.status}`;
      this.#refusal = `${this.#pathOf(file)} cannot be read: ${what}`;
    }
    if (file === INDEX && this.#refusal !== '') throw new CheckpointError(`${this.#refusal}, and there is no ${INDEX}`);
    return true;
  }
}

/** Whether a server sent a web page in place of a file. */
export function isWebPage({ ok, headers }: Response): boolean {
  return ok && /^\s*(?:text\/html|application\/xhtml\+xml)\b/i.test(headers.get('content-type') ?? '');
}

/** Ends a response that nobody reads. Otherwise its connection would stay open. */
export async function cancelBody({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => undefined);
}
