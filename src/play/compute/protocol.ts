import type { ModelConfig } from '../../../reference/lib/config.js';
import type { GraphNode } from '../../verify/graph.js';

/** The model, as the page sees it. */
export interface ModelInfo {
  /** What the reader opened; null for the demo. */
  name: string | null;
  config: ModelConfig;
  /** What computes answers, and why it was chosen. */
  backend: string;
  adapter: string;
}

/** Where a reader's model is: the files of a folder, or an id on the Hub or a URL. */
export type ModelSource = { files: readonly File[] } | { address: string };

export interface ModelSize {
  name: string;
  /** null if the server does not say. */
  bytes: number | null;
}

/** A file on its way: bytes that are here, and all of them, 0 if unknown. */
export interface Download {
  file: string;
  done: number;
  total: number;
}

/** A token and its text. */
export interface TokenInfo {
  id: number;
  text: string;
}

/** A token with the probability that the model gives it, before temperature and the like. */
export interface Rival extends TokenInfo {
  probability: number;
}

export interface AskOptions {
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  backend: string;
  /** The beginning of the answer, as ids, that the reader chose. */
  chosen: readonly number[];
}

/** One token of an answer. */
export interface AskStep extends Rival {
  /** The likeliest tokens at this place, by falling probability. */
  rivals: Rival[];
  /** 1 if no token is likelier. */
  rank: number;
  /** Whether it ends the text. */
  isEnd: boolean;
}

/** The last piece of an answer. */
export interface AskSummary {
  /** Tokens that the model chose, milliseconds to the first of them, and from the first to the last. */
  tokens: number;
  firstMs: number;
  restMs: number;
  backend: string;
  adapter: string;
}

/** A pass of the reference over a prompt. Its activations stay in the worker until asked for. */
export interface TraceInfo {
  tokens: TokenInfo[];
  graph: GraphNode[];
  /** Milliseconds of the pass. */
  ms: number;
}

export interface Activation {
  data: Float32Array;
  shape: readonly number[];
  /** The same elements by PyTorch in float64, NaN where the golden file has none; null if it has none at all. */
  truth: Float64Array | null;
  /** The golden file holds every step-th element. */
  step: number;
}

/** What the lens sees at one layer and position. */
export interface LensCell {
  top: Rival[];
  /** Of the distribution, in nats. */
  entropy: number;
  /** The rank of the token that the last layer predicts; 1 is the first. */
  rank: number;
}

/** A token's place in a prediction before and after a change. */
export interface Move extends TokenInfo {
  before: number;
  after: number;
  rankBefore: number;
  rankAfter: number;
}

/** What a change does to the prediction after one token. */
export interface MovedPosition {
  /** The token. */
  text: string;
  /** The likeliest tokens before and after, by their place after. */
  moves: Move[];
  /** Half the sum of all differences of probabilities: 0 for the same prediction, 1 for another one. */
  distance: number;
}

/** An intervention in a pass. */
export interface Change {
  /** As `--patch` takes them; the value `other` is the other prompt's activation. */
  patches: readonly string[];
  /** Two positions whose codes change places, or none. */
  swap: readonly number[];
  /** The other prompt, if a patch uses it. */
  other: string | null;
}

/** An activation of a backend against PyTorch's. */
export interface CheckedActivation {
  name: string;
  op: string;
  /** The largest error, relative to the rms of the truth. */
  error: number;
  bound: number;
  /** The error over the bound: 1 is the limit. */
  share: number;
  isOk: boolean;
  /** Milliseconds from the activation before, with reading it out. */
  ms: number;
}

export interface BackendCheck {
  name: string;
  adapter: string;
  /** Milliseconds of an undisturbed pass. */
  ms: number;
  activations: CheckedActivation[];
  /** Why it cannot run here, or null. */
  error: string | null;
}

/** A token near another one, by the cosine of the angle between their vectors. */
export interface Near extends TokenInfo {
  cosine: number;
}

export interface Progress {
  done: number;
  total: number;
}

/** The tokens nearest to one in the frozen table, and if they all stood in its place, after each layer. */
export interface TokenNeighbors {
  codes: Near[];
  /** [layer] */
  states: Near[][];
}

export interface Country {
  name: string;
  continent: string;
}

/** The countries in the frozen table, or after a layer. */
export interface EmergenceLayer {
  /** x and y of each country in the plane of most variance; the mean square distance from the center is 1. */
  points: Float32Array;
  /** The share of the variance that this plane shows. */
  explained: number;
  /** The nearest other countries of each, nearest first, in all dimensions. */
  near: number[][];
  /** The share of these that lie on the same continent. */
  share: number;
}

export interface Emergence {
  countries: Country[];
  /** Index 0 is the frozen table, n + 1 is after layer n. */
  layers: EmergenceLayer[];
  /** `share` if neighbors were drawn by chance. */
  chance: number;
}

/** The functions that the worker serves. Prompts are texts. */
export interface Engine {
  info(): Promise<ModelInfo>;
  sizeOf(source: ModelSource): Promise<ModelSize>;
  /** Changes the model, null for the demo. If that fails or is canceled, the model before stays. */
  open(source: ModelSource | null, signal: AbortSignal): AsyncGenerator<Download, void, undefined>;
  /** The same worker as another object, which remembers nothing of the model before. */
  renewed(): Engine;
  /** The text of every token. */
  vocabulary(): Promise<string[]>;
  ask(prompt: string, options: AskOptions, signal: AbortSignal): AsyncGenerator<AskStep | AskSummary, void, undefined>;
  trace(prompt: string): Promise<TraceInfo>;
  activation(prompt: string, name: string): Promise<Activation>;
  /** Cells [layer][position]. */
  lens(prompt: string, count: number): Promise<LensCell[][]>;
  /** What an intervention does to the prediction after each token. */
  change(prompt: string, change: Change, count: number): Promise<MovedPosition[]>;
  /** Every backend of this browser against PyTorch, one after the other. */
  trust(signal: AbortSignal): AsyncGenerator<BackendCheck, void, undefined>;
  /** The neighbors of the token at a position. The last piece is the result. */
  neighbors(
    prompt: string,
    position: number,
    count: number,
    signal: AbortSignal,
  ): AsyncGenerator<Progress | TokenNeighbors, void, undefined>;
  emergence(): Promise<Emergence>;
}
