import {
  openBackend,
  openWeightsHome,
  resolveBackend,
  type Backend,
  type BatchEntry,
  type LoadedModel,
  type Session,
} from './backend.js';
import { readModel, type LoadOptions, type LoadReport } from './checkpoint/readModel.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';
import type { Float32Tensor } from '../reference/lib/tensor.js';
import type { Folder } from './folder/folder.js';
import { requireInvariant } from './draft/draft.js';
import { LookupDraft } from './draft/lookup.js';
import { ModelDraft } from './draft/modelDraft.js';
import { DRAFT_NAMES, openDraftModel, resolveDraft, type DraftModel, type DraftName } from './draft/open.js';
import { generateIds, type GenerateOptions } from './generate.js';
import { requireKnownOptions, requireOption } from './lib/options.js';
import { SAMPLE_OPTIONS, type SampleOptions } from './sample.js';
import { TextStream } from './textStream.js';
import { readTokenizer } from './tokenizer/readTokenizer.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

export interface GenerateTextOptions extends Omit<GenerateOptions, 'stopIds' | 'draft'> {
  /**
   * How to propose tokens that one pass then checks: see {@link DRAFT_NAMES}. Greedy decoding gives the same text with all of
   * them, sampling another one for the same seed. `int4` and `int8` pack the model once and keep that until `dispose()`.
   * Default: `off`.
   */
  draft?: DraftName | undefined;
  /** Continue past the end-of-text token. */
  ignoreEos?: boolean | undefined;
  /** Which backend computes. Default: the one that the model was loaded for. */
  backend?: string | undefined;
  /** Called with every new token, including the end-of-text token. */
  onToken?: ((id: number) => void) | undefined;
}

/** Every name in {@link GenerateTextOptions}. */
const GENERATE_TEXT_OPTIONS: readonly string[] = [
  ...Object.keys({
    maxNewTokens: true,
    signal: true,
    ignoreEos: true,
    backend: true,
    onToken: true,
    draft: true,
    onDraft: true,
  } satisfies Record<Exclude<keyof GenerateTextOptions, keyof SampleOptions>, true>),
  ...SAMPLE_OPTIONS,
];

export interface LanguageModelOptions extends LoadOptions {
  /** Which backend computes (see {@link openBackend}). Default: `auto`. Weights are loaded into its memory. */
  backend?: string | undefined;
}

/** A model with its tokenizer: text in, text out. */
export class LanguageModel {
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly report: LoadReport;
  /** The default backend. */
  readonly backend: string;
  readonly #backends = new Map<string, Promise<Backend>>();
  readonly #drafts = new Map<string, Promise<DraftModel>>();
  #isDisposed = false;

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
   * Opens a session, for logits and activations. The backend is prepared once and kept until {@link dispose}.
   *
   * @throws InputError for an unknown backend, or after {@link dispose}.
   */
  async openSession(backend: string = this.backend): Promise<Session> {
    return (await this.#open(backend)).openSession();
  }

  /**
   * Advances several sessions together, each by its own tokens: see {@link Backend.forwardBatch}.
   *
   * @param backend the one that the sessions were opened on
   * @throws InputError for an unknown backend, or after {@link dispose}; BatchError for an entry that is refused.
   */
  async forwardBatch(batch: readonly BatchEntry[], backend: string = this.backend): Promise<Float32Tensor[]> {
    return (await this.#open(backend)).forwardBatch(batch);
  }

  /** Prepares a backend once. */
  async #open(backend: string): Promise<Backend> {
    requireOption(typeof backend === 'string', 'the backend', "a name such as 'simd'", backend);
    this.#requireUsable();
    let opened = this.#backends.get(backend);
    if (!opened) {
      opened = openBackend(this.model, backend);
      this.#backends.set(backend, opened);
      opened.catch(() => this.#backends.delete(backend));
    }
    const ready = await opened;
    this.#requireUsable(); // it may have been disposed of while the backend opened
    return ready;
  }

  /**
   * Packs the model in fewer bits to draft with, unless that has been done. `generate` does it when it is first asked for.
   *
   * @returns the bytes of the packed weights
   * @throws InputError if the model has no more bits than that, or after {@link dispose}.
   */
  async prepareDraft(dtype: 'int4' | 'int8', backend: string = this.backend): Promise<number> {
    return (await this.#openDraft(dtype, backend)).bytes;
  }

  async #openDraft(dtype: 'int4' | 'int8', backend: string): Promise<DraftModel> {
    const { name } = await this.#open(backend);
    const key = `${dtype} ${name}`;
    let opened = this.#drafts.get(key);
    if (!opened) {
      opened = openDraftModel(this.model, dtype, name);
      this.#drafts.set(key, opened);
      opened.catch(() => this.#drafts.delete(key));
    }
    const ready = await opened;
    this.#requireUsable();
    return ready;
  }

  /**
   * Frees the memory that backends hold, such as that of a GPU. Afterwards the model cannot generate or open sessions. A
   * generation that is running throws InputError or DeviceError at its next step.
   */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    const drafts = [...this.#drafts.values()].map(async (draft) => (await draft).backend);
    const backends = [...this.#backends.values(), ...drafts];
    this.#backends.clear();
    this.#drafts.clear();
    for (const result of await Promise.allSettled(backends))
      if (result.status === 'fulfilled') await result.value.dispose();
  }

  #requireUsable(): void {
    if (this.#isDisposed) throw new InputError('the model has been disposed');
  }

  /**
   * Continues a prompt, piece by piece.
   *
   * @param prompt text, or the token ids of a text
   * @throws InputError for an empty prompt, an unknown option or one out of range, or if the model has been disposed of;
   *   DeviceError if that happens while its backend computes; the reason of `signal` if it aborts before the last token.
   */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateTextOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    requireKnownOptions(options, GENERATE_TEXT_OPTIONS);
    const { ignoreEos = false, backend, onToken, draft: draftName = 'off', ...rest } = options;
    requirePrompt(prompt);
    const isCallback = onToken === undefined || typeof onToken === 'function';
    requireOption(isCallback, 'onToken', 'a function', onToken);
    requireOption(DRAFT_NAMES.includes(draftName), 'draft', `one of ${DRAFT_NAMES.join(', ')}`, draftName);
    const stopIds = ignoreEos ? [] : this.tokenizer.eosIds;
    const promptIds = typeof prompt === 'string' ? this.tokenizer.encode(prompt) : prompt;
    const text = new TextStream(this.tokenizer);
    const session = await this.openSession(backend);
    let draftSession: Session | undefined;
    try {
      const kind = resolveDraft(draftName, session, !rest.temperature);
      if (kind !== 'off') requireInvariant(session);
      if (kind === 'int4' || kind === 'int8') {
        draftSession = (await this.#openDraft(kind, backend ?? this.backend)).backend.openSession();
      }
      const draft = draftSession ? new ModelDraft(draftSession) : kind === 'lookup' ? new LookupDraft() : undefined;
      for await (const id of generateIds(session, this.config, promptIds, { ...rest, stopIds, draft })) {
        this.#requireUsable();
        onToken?.(id);
        const piece = text.push(id);
        if (piece !== '') yield piece;
      }
      const remainder = text.end();
      if (remainder !== '') yield remainder;
    } finally {
      await session.dispose();
      await draftSession?.dispose();
    }
  }
}

function requirePrompt(prompt: unknown): void {
  const isIds = Array.isArray(prompt) || ArrayBuffer.isView(prompt);
  requireOption(typeof prompt === 'string' || isIds, 'the prompt', 'a string or a list of token ids', prompt);
}

/**
 * Reads a language model: `config.json`, `model.safetensors` (or shards with their index) and `tokenizer.json`. The
 * tokenizer comes first because it fails faster.
 *
 * @throws CheckpointError, ConfigError or TokenizerError with a one-line message that names the file and the fault.
 */
export async function readLanguageModel(folder: Folder, options: LanguageModelOptions = {}): Promise<LanguageModel> {
  const { backend: wanted = 'auto', ...rest } = options;
  const tokenizer = await readTokenizer(folder);
  const backend = await resolveBackend(wanted);
  const { model, report } = await readModel(folder, { ...rest, home: await openWeightsHome(backend) });
  return new LanguageModel(model, tokenizer, report, backend);
}

/** Wraps a question in the prompt format of the model card, which these models were trained on. */
export function askPrompt(question: string): string {
  return `Question: ${question}\nAnswer:`;
}
