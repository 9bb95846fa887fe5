import { layerNorm, lmHead } from '../../../reference/index.js';
import { InputError } from '../../../reference/lib/errors.js';
import { sizeOf, type Float32Tensor, type Floats, type Tensor } from '../../../reference/lib/tensor.js';
import { DeviceError, load, openBackend, type Backend, type LanguageModel } from '../../browser.js';
import { floatModel } from '../../checkpoint/assemble.js';
import { readSafetensors } from '../../checkpoint/reader.js';
import { urlFolder } from '../../folder/urlFolder.js';
import { generateIds } from '../../generate.js';
import { parseGolden, type Golden } from '../../verify/golden.js';
import { activationGraph, type GraphNode } from '../../verify/graph.js';
import { changedPass, rankOf } from './change.js';
import COUNTRIES from 'virtual:countries';
import { emergenceOf } from './emergence.js';
import { nameOf, readOwnModel } from './ownModel.js';
import { nearestTokens, tokenVectors, type TokenVectors } from './tokenNeighbors.js';
import { probabilitiesOf } from './distribution.js';
import { likeliest } from '../../likeliest.js';
import type {
  Activation,
  AskOptions,
  AskStep,
  AskSummary,
  BackendCheck,
  Change,
  Download,
  Emergence,
  LensCell,
  ModelInfo,
  ModelSource,
  MovedPosition,
  Progress,
  Rival,
  TokenNeighbors,
  TraceInfo,
} from './protocol.js';
import { checkBackends } from './trust.js';
import { withForward } from './withForward.js';

/** Fast in every browser, and ready at once. */
const DEFAULT_BACKEND = 'simd';
const MODEL = 'models/demo/';
const GOLDEN = 'golden/fixtures/demo/activations/';

/** How many rivals a token is shown with. */
const RIVALS = 8;
const MAX_NEW_TOKENS = 48;

/** A finished pass of the reference. */
interface Pass {
  prompt: string;
  ids: readonly number[];
  tensors: Map<string, Float32Tensor>;
  ms: number;
}

/** What the worker computes: answers on any backend, and everything that is looked into on the reference. */
export class Engine {
  readonly #data: URL;
  #model: Promise<LanguageModel>;
  /** What the reader opened; null for the demo. */
  #name: string | null = null;
  /** PyTorch's activations; null if they cannot be read, so that the page works without. */
  #golden: Promise<Golden | null> | undefined;
  readonly #backends = new Map<string, Promise<Backend>>();
  #pass: Promise<Pass> | undefined;
  #passPrompt = '';
  /** The latest vectors of all tokens, and the beginning before them. */
  #vectors: { beginning: string; vectors: TokenVectors } | undefined;

  /** @param data the folder that holds the model and the golden file */
  constructor(data: URL) {
    this.#data = data;
    this.#model = this.#loadDemo();
    this.#model.catch(() => undefined); // reported by whoever waits for it
  }

  #loadDemo(): Promise<LanguageModel> {
    return load(new URL(MODEL, this.#data), { backend: DEFAULT_BACKEND });
  }

  /** Changes the model; null for the demo. */
  async *open(source: ModelSource | null, signal: AbortSignal): AsyncGenerator<Download, void, undefined> {
    const model = source ? yield* readOwnModel(source, signal) : await this.#loadDemo();
    const [old, backends] = [this.#model, [...this.#backends.values()]];
    this.#model = Promise.resolve(model);
    this.#name = source && nameOf(source);
    this.#backends.clear();
    this.#pass = this.#vectors = undefined;
    this.#golden = source ? Promise.resolve(null) : undefined; // PyTorch's activations are the demo's
    // what still runs on the model before fails, and nobody waits for it any more
    for (const opened of [old, ...backends]) void opened.then((it) => it.dispose()).catch(() => undefined);
  }

  async info(): Promise<ModelInfo> {
    const model = await this.#model;
    const { name, adapter } = await this.#openBackend(model, DEFAULT_BACKEND);
    return { name: this.#name, config: model.config, backend: name, adapter };
  }

  async vocabulary(): Promise<string[]> {
    const model = await this.#model;
    return Array.from({ length: model.config.vocabSize }, (_, id) => textOf(model, id));
  }

  /** Continues a prompt. The pieces are tokens; the last one is the summary. */
  async *ask(
    prompt: string,
    options: AskOptions,
    signal: AbortSignal,
  ): AsyncGenerator<AskStep | AskSummary, void, undefined> {
    const model = await this.#model;
    const { chosen, backend: wanted, ...sampling } = options;
    const ids = [...this.#encode(model, prompt), ...chosen];
    const backend = await this.#openBackend(model, wanted);
    const session = backend.openSession();
    try {
      if (chosen.length > 0) {
        const { data, shape } = await session.forward(ids.slice(0, -1), { logits: 'all' });
        for (const [n, id] of chosen.entries()) {
          const row = ids.length - chosen.length + n - 1;
          yield this.#step(model, id, data.subarray(row * shape[1], (row + 1) * shape[1]));
        }
        if (model.tokenizer.eosIds.includes(ids.at(-1)!)) return;
      }
      const start = performance.now();
      let first = start;
      let tokens = 0;
      let logits: Float32Array = new Float32Array(0);
      const observed = withForward(session, async (...args) => {
        const result = await session.forward(...args);
        logits = result.data;
        return result;
      });
      const settings = { ...sampling, maxNewTokens: MAX_NEW_TOKENS, stopIds: model.tokenizer.eosIds, signal };
      for await (const id of generateIds(observed, model.config, ids, settings)) {
        if (tokens === 0) first = performance.now();
        tokens++;
        yield this.#step(model, id, logits);
      }
      const restMs = performance.now() - first;
      yield { tokens, firstMs: first - start, restMs, backend: backend.name, adapter: backend.adapter };
    } finally {
      await session.dispose();
    }
  }

  /** Runs the reference over a prompt and keeps every activation. */
  async trace(prompt: string): Promise<TraceInfo> {
    const model = await this.#model;
    const { ids, ms } = await this.#passOver(prompt);
    return {
      tokens: ids.map((id) => ({ id, text: textOf(model, id) })),
      graph: graphOf(model),
      ms,
    };
  }

  /** An activation of the pass over a prompt, with PyTorch's values where there are some. */
  async activation(prompt: string, name: string): Promise<Activation> {
    const { ids, tensors } = await this.#passOver(prompt);
    const tensor = tensors.get(name);
    if (!tensor) throw new InputError(`the reference traces no activation ${name}`);
    const golden = await this.#readGolden();
    const truth = truthOf(golden, name, ids, tensor.shape);
    return { ...tensor, truth, step: golden?.tensors.get(name)?.step ?? 1 };
  }

  /** The logit lens: what each layer's state predicts through the final norm and the head. */
  async lens(prompt: string, count: number): Promise<LensCell[][]> {
    const model = await this.#model;
    const { config } = model;
    const { weights } = model.model;
    const { ids, tensors } = await this.#passOver(prompt);
    const last = config.normPosition === 'pre' ? 'resid' : 'ffn_norm';
    const final = tensors.get('logits')!;
    const answers = ids.map((_, t) => likeliest(rowOf(final, t), 1)[0]);
    return Array.from({ length: config.nLayer }, (_, n) => {
      const x = tensors.get(`layers.${n}.${last}`)!;
      const logits = lmHead(
        weights.finalNorm ? layerNorm(x, weights.finalNorm, config.layerNormEps) : x,
        weights.lmHead,
      );
      return ids.map((_, t) => {
        const row = rowOf(logits, t);
        const probabilities = probabilitiesOf(row);
        return {
          top: this.#rivals(model, row, probabilities, count),
          entropy: probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0),
          rank: rankOf(row, answers[t]),
        };
      });
    });
  }

  /** What an intervention does to the prediction after each token. */
  async change(prompt: string, { patches, swap, other }: Change, count: number): Promise<MovedPosition[]> {
    const model = await this.#model;
    const plain = await this.#passOver(prompt);
    const source = other === null ? null : await this.#runPass(other);
    return changedPass(floatModel(model.model), plain, source, patches, swap, count).map((position, t) => ({
      text: textOf(model, plain.ids[t]),
      distance: position.distance,
      moves: position.moves.map((move) => ({ ...move, text: textOf(model, move.id) })),
    }));
  }

  /** Every backend against PyTorch's activations. */
  async *trust(signal: AbortSignal): AsyncGenerator<BackendCheck, void, undefined> {
    const model = await this.#model;
    const golden = await this.#readGolden();
    if (!golden)
      throw new InputError(
        this.#name === null
          ? 'PyTorch’s activations could not be loaded, so there is nothing to compare with'
          : 'PyTorch’s activations are here for the demo model only: emergent verify compares other models',
      );
    yield* checkBackends(model.model, golden, signal);
  }

  /** Puts every token in the place of one, reporting progress, and finds those that are near to it. */
  async *neighbors(
    prompt: string,
    position: number,
    count: number,
    signal: AbortSignal,
  ): AsyncGenerator<Progress | TokenNeighbors, void, undefined> {
    const model = await this.#model;
    const ids = this.#encode(model, prompt);
    const beginning = ids.slice(0, position).join();
    if (this.#vectors?.beginning !== beginning) {
      const backend = await this.#openBackend(model, DEFAULT_BACKEND);
      const vectors = yield* tokenVectors(model, backend, ids.slice(0, position), signal);
      this.#vectors = { beginning, vectors };
    }
    const near = (vectors: readonly Float64Array[]): TokenNeighbors['codes'] =>
      nearestTokens(vectors, ids[position], count, (id) => textOf(model, id));
    const { codes, states } = this.#vectors.vectors;
    yield { codes: near(codes), states: states.map(near) };
  }

  /** How countries come to lie near others of their continent. */
  async emergence(): Promise<Emergence> {
    const model = await this.#model;
    const { name } = await this.#openBackend(model, DEFAULT_BACKEND);
    return emergenceOf(model, COUNTRIES, name);
  }

  #encode(model: LanguageModel, prompt: string): number[] {
    const ids = model.tokenizer.encode(prompt);
    const { blockSize } = model.config;
    if (ids.length === 0) throw new InputError('the prompt is empty: type a question');
    if (ids.length > blockSize) {
      throw new InputError(`the prompt has ${ids.length} tokens, but this model reads at most ${blockSize}`);
    }
    return ids;
  }

  /** A backend, or the reference where that cannot run. */
  async #openBackend(model: LanguageModel, wanted: string): Promise<Backend> {
    let opened = this.#backends.get(wanted);
    if (!opened) {
      opened = openBackend(model.model, wanted).catch(async (error: unknown) => {
        if (wanted === 'reference' || !(error instanceof DeviceError)) throw error;
        const reference = await this.#openBackend(model, 'reference');
        return { ...reference, adapter: `JavaScript, because ${error.message}` };
      });
      this.#backends.set(wanted, opened);
    }
    return opened;
  }

  #step(model: LanguageModel, id: number, logits: Float32Array): AskStep {
    const probabilities = probabilitiesOf(logits);
    return {
      id,
      text: textOf(model, id),
      probability: probabilities[id],
      rivals: this.#rivals(model, logits, probabilities, RIVALS),
      rank: rankOf(logits, id),
      isEnd: model.tokenizer.eosIds.includes(id),
    };
  }

  #rivals(model: LanguageModel, logits: Floats, probabilities: Float64Array, count: number): Rival[] {
    return likeliest(logits, count).map((id) => ({ id, text: textOf(model, id), probability: probabilities[id] }));
  }

  /** The pass over a prompt; the latest is kept. */
  async #passOver(prompt: string): Promise<Pass> {
    if (!this.#pass || this.#passPrompt !== prompt) {
      this.#passPrompt = prompt;
      this.#pass = this.#runPass(prompt);
    }
    return this.#pass;
  }

  async #runPass(prompt: string): Promise<Pass> {
    const model = await this.#model;
    const ids = this.#encode(model, prompt);
    const tensors = new Map<string, Float32Tensor>();
    const session = (await this.#openBackend(model, 'reference')).openSession();
    const start = performance.now();
    await session.forward(ids, {
      logits: 'all',
      attnWeights: true,
      trace: (name, value) => {
        tensors.set(name, value as Float32Tensor); // a pass in float32
      },
    });
    const ms = performance.now() - start;
    await session.dispose();
    return { prompt, ids, tensors, ms };
  }

  #readGolden(): Promise<Golden | null> {
    this.#golden ??= (async () => {
      const folder = urlFolder(new URL(GOLDEN, this.#data));
      const source = await folder.open('truth.safetensors');
      return source && parseGolden(await readSafetensors(source));
    })().catch(() => null);
    return this.#golden;
  }
}

/**
 * PyTorch's values of an activation. A causal model computes the same for the same beginning, so they hold as far as the
 * prompt begins like the golden one.
 */
function truthOf(
  golden: Golden | null,
  name: string,
  ids: readonly number[],
  shape: readonly number[],
): Float64Array | null {
  const truth = golden?.tensors.get(name);
  if (!golden || !truth || shape.length !== 2 || truth.shape[1] !== shape[1]) return null;
  const { tokens } = golden.header;
  let common = 0;
  while (common < ids.length && ids[common] === tokens[common]) common++;
  if (common === 0) return null;
  const values = new Float64Array(sizeOf(shape)).fill(NaN);
  for (const [n, value] of truth.data.entries()) {
    const at = n * truth.step;
    if (at < common * shape[1]) values[at] = value;
  }
  return values;
}

/** All activations. Attention computes its weights itself, so it reads queries, keys and values, as its source does. */
function graphOf({ config, model }: LanguageModel): GraphNode[] {
  const hasFinalNorm = model.weights.finalNorm !== null;
  const plain = new Map(activationGraph(config, hasFinalNorm).map((node) => [node.name, node]));
  return activationGraph(config, hasFinalNorm, true).map((node) => plain.get(node.name) ?? node);
}

function rowOf({ data, shape }: Tensor, t: number): Floats {
  return data.subarray(t * shape[1], (t + 1) * shape[1]);
}

/** The text of a token alone; its name in the vocabulary where it is a part of a character, or special. */
function textOf({ tokenizer }: LanguageModel, id: number): string {
  const text = tokenizer.decode([id]);
  return text === '' || text.includes('\ufffd') ? tokenizer.token(id) : text;
}
