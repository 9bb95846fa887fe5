import {
  openBackend,
  openWeightsHome,
  resolveBackend,
  type Backend,
  type LoadedModel,
  type Session,
} from './backend.js';
import { readModel, type LoadOptions, type LoadReport } from './checkpoint/readModel.js';
import type { ModelConfig } from '../reference/lib/config.js';
import type { Folder } from './folder/folder.js';
import { generateIds, type GenerateOptions } from './generate.js';
import { readTokenizer } from './tokenizer/readTokenizer.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

export interface GenerateTextOptions extends Omit<GenerateOptions, 'stopIds'> {
  /** Go on past the token that ends a text. */
  ignoreEos?: boolean | undefined;
  /** Which backend computes, if not the one that the model was loaded for. */
  backend?: string | undefined;
  /** Called with every new token, that which ends the text included. */
  onToken?: ((id: number) => void) | undefined;
}

export interface LanguageModelOptions extends LoadOptions {
  /** What shall compute (see {@link openBackend}): `auto` unless told. Weights go where it likes to have them. */
  backend?: string | undefined;
}

/** A model with its tokenizer: text in, text out. */
export class LanguageModel {
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly report: LoadReport;
  /** What computes unless another is asked for. */
  readonly backend: string;
  readonly #backends = new Map<string, Promise<Backend>>();

  constructor(model: LoadedModel, tokenizer: Tokenizer, report: LoadReport, backend = 'auto') {
    this.model = model;
    this.tokenizer = tokenizer;
    this.report = report;
    this.backend = backend;
  }

  get config(): ModelConfig {
    return this.model.config;
  }

  /**
   * A session of its own, for those who want logits and activations. The backend is made ready once and kept until
   * {@link dispose}.
   */
  async openSession(backend: string = this.backend): Promise<Session> {
    let opened = this.#backends.get(backend);
    if (!opened) {
      opened = openBackend(this.model, backend);
      this.#backends.set(backend, opened);
      opened.catch(() => this.#backends.delete(backend));
    }
    return (await opened).openSession();
  }

  /** Gives back what backends hold of the model, such as the memory of a GPU. */
  async dispose(): Promise<void> {
    const opened = [...this.#backends.values()];
    this.#backends.clear();
    for (const backend of opened) await (await backend).dispose();
  }

  /**
   * Continues a prompt, piece by piece.
   *
   * @throws InputError for an empty prompt or an option out of range.
   */
  async *generate(prompt: string, options: GenerateTextOptions = {}): AsyncGenerator<string, void, undefined> {
    const { ignoreEos = false, backend, onToken, ...rest } = options;
    const stopIds = ignoreEos ? [] : this.tokenizer.eosIds;
    const session = await this.openSession(backend);
    try {
      const made: number[] = [];
      let shown = '';
      for await (const id of generateIds(session, this.config, this.tokenizer.encode(prompt), { ...rest, stopIds })) {
        onToken?.(id);
        made.push(id);
        const text = this.tokenizer.decode(made);
        if (text.endsWith('\ufffd')) continue; // a character whose other bytes are still to come
        yield text.slice(shown.length);
        shown = text;
      }
      const remainder = this.tokenizer.decode(made).slice(shown.length);
      if (remainder !== '') yield remainder;
    } finally {
      await session.dispose();
    }
  }
}

/**
 * Reads a language model: `config.json`, `model.safetensors` (or shards with their index), `tokenizer.json`, which is
 * read first because it is the quicker to fail.
 *
 * @throws CheckpointError, ConfigError or TokenizerError that names the file and the fault.
 */
export async function readLanguageModel(folder: Folder, options: LanguageModelOptions = {}): Promise<LanguageModel> {
  const { backend: wanted = 'auto', ...rest } = options;
  const tokenizer = await readTokenizer(folder);
  const backend = await resolveBackend(wanted);
  const { model, report } = await readModel(folder, { ...rest, home: await openWeightsHome(backend) });
  return new LanguageModel(model, tokenizer, report, backend);
}

/** Wraps a question as the model card does: the form in which these models were taught to answer. */
export function askPrompt(question: string): string {
  return `Question: ${question}\nAnswer:`;
}
