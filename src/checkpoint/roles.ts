import type { ModelConfig } from '../../reference/lib/config.js';

/**
 * Guesses the role of a checkpoint's module from the words in its name, its layer and the shape of its weight. Each rule
 * is a convention of published models. If two roles are possible, nothing is guessed.
 */

/** A module: a weight and a bias with the same name, such as `h.3.attn.c_proj` with `.weight` and `.bias`. */
export interface Module {
  name: string;
  /** Its layer; null for a module outside the layers. */
  layer: number | null;
  weight: readonly number[] | null;
  bias: readonly number[] | null;
}

/** What a module is. */
export interface Role {
  /** The canonical name, without the layer. */
  module: string;
  /** Whether its weight is stored as [in, out]. */
  transposed: boolean;
}

const QUERY = ['q', 'query', 'queries', 'wq', 'qproj'];
const KEY = ['k', 'key', 'keys', 'wk', 'kproj'];
const VALUE = ['v', 'value', 'values', 'wv', 'vproj'];
const OUTPUT = ['o', 'out', 'output', 'wo', 'proj', 'dense', 'oproj'];
const EMBEDDING = ['emb', 'embed', 'embedding', 'embeddings', 'wte', 'tok', 'embedder'];
const HEAD = ['head', 'lm', 'output', 'out', 'unembed', 'unembedding', 'decoder', 'score', 'logits', 'classifier'];

const POSITION = ['wpe', 'pos', 'position', 'positional'];
const UP = ['up', 'in', 'wi', 'expand', 'intermediate', 'upproj'];
const DOWN = ['down', 'out', 'output', 'wo', 'contract', 'downproj'];

/** What only all modules of a layer together show. */
export interface Survey {
  /** Whether matrices are stored as [in, out]. */
  transposed: boolean;
  /** The numbers at the end of the norms' names: `ln_1`, `ln_2`. */
  norms: readonly number[];
  /** The numbers at the end of the feed-forward matrices' names: `fc1`, `fc2` or `net.0`, `net.2`. */
  feedForward: readonly number[];
}

export function surveyLayer(modules: readonly Module[], { dModel: C }: ModelConfig): Survey {
  const norms = modules.filter(({ weight }) => weight?.length === 1);
  const feedForward = modules.filter(({ weight }) => weight?.length === 2 && weight.includes(4 * C));
  return {
    transposed: modules.some((module) => isTransposed(module, C)),
    norms: endingNumbers(norms),
    feedForward: endingNumbers(feedForward),
  };
}

/** Guesses a module's role; null if no role or more than one fits. */
export function guessRole(module: Module, survey: Survey, config: ModelConfig): Role | null {
  const { weight, layer } = module;
  if (!weight) return null;
  if (weight.length === 1) {
    const name = layer === null ? guessNormOutside(module.name) : guessNorm(module.name, survey.norms);
    return name === null ? null : { module: name, transposed: false };
  }
  if (weight.length !== 2) return null;
  if (layer === null) {
    const name = guessOutside(module.name, weight, config);
    return name === null ? null : { module: name, transposed: false };
  }
  const [rows, columns] = survey.transposed ? weight.toReversed() : weight;
  const name = guessMatrix(module.name, rows, columns, survey.feedForward, config.dModel);
  return name === null ? null : { module: name, transposed: survey.transposed };
}

/** The words of a name's last part, ignoring numbers: `to`, `out` for `attn.to_out.0`. */
function lastWords(name: string): string[] {
  const segments = name.split('.').filter((segment) => !/^\d+$/.test(segment));
  return wordsOf(segments.at(-1) ?? '');
}

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[._]/);
}

function has(words: readonly string[], options: readonly string[]): boolean {
  return words.some((word) => options.includes(word));
}

/** Whether a module outside the layers is called like an embedding of positions, or like one of tokens and not a head. */
export function isPosition(name: string): boolean {
  return has(lastWords(name), POSITION);
}

export function isEmbedding(name: string): boolean {
  const words = lastWords(name);
  return has(words, EMBEDDING) && !has(words, HEAD);
}

/** Embedding [V, E] or head [V, C]: by words, or by shape if the words fit neither or both. */
function guessOutside(
  name: string,
  [rows, columns]: readonly number[],
  { vocabSize: V, nEmbed: E, dModel: C }: ModelConfig,
): string | null {
  const words = lastWords(name);
  if (has(words, POSITION)) return null;
  const embeds = has(words, EMBEDDING);
  if (embeds !== has(words, HEAD)) return embeds ? 'token_embeddings' : 'lm_head';
  if (rows !== V || E === C) return null;
  if (columns === E) return 'token_embeddings';
  return columns === C ? 'lm_head' : null;
}

/** The final norm, unless it is the embedding's norm, which this architecture does not have. */
function guessNormOutside(name: string): string | null {
  return has(wordsOf(name), [...EMBEDDING, ...POSITION, 'embd', 'input']) ? null : 'final_layernorm';
}

/** The norm before attention or before the feed-forward network. */
function guessNorm(name: string, numbers: readonly number[]): string | null {
  const attention = 'input_layernorm';
  const feedForward = 'post_attention_layernorm';
  const words = wordsOf(name);
  if (words.includes('post') && has(words, ['attention', 'attn'])) return feedForward;
  if (words.includes('input')) return attention;
  // ln_1 and ln_2, or norms.0 and norms.1: the norm with the lower number comes first.
  const isFirst = isLowerOfTwo(endingNumber(name), numbers);
  if (isFirst !== null) return isFirst ? attention : feedForward;
  if (has(words, ['ffn', 'mlp', 'ff', 'feed', 'feedforward', 'final'])) return feedForward;
  if (has(words, ['attn', 'attention', 'sa'])) return attention;
  return null;
}

/** A matrix in a layer. The shape identifies feed-forward and fused projections; words identify q, k, v and output. */
function guessMatrix(
  name: string,
  rows: number,
  columns: number,
  feedForwardNumbers: readonly number[],
  C: number,
): string | null {
  const words = lastWords(name);
  const isOneOf = [QUERY, KEY, VALUE].map((options) => has(words, options));
  if (columns === C && rows === 3 * C) {
    // In GPT-NeoX and BLOOM, query_key_value groups its rows by head, so q, k and v are interleaved.
    return isOneOf.includes(true) ? null : 'self_attn.qkv_proj';
  }
  if ((columns === C && rows === 4 * C) || (columns === 4 * C && rows === C)) {
    const isUp = rows === 4 * C;
    const isNamedUp = isLowerOfTwo(endingNumber(name), feedForwardNumbers) ?? isUpByWords(words);
    // If name and shape disagree, the matrix is stored as [in, out] or is something else.
    if (isNamedUp !== null && isNamedUp !== isUp) return null;
    return isUp ? 'ffn.0' : 'ffn.2';
  }
  if (isOneOf.filter(Boolean).length === 1) return `self_attn.${'qkv'[isOneOf.indexOf(true)]}_proj`;
  return !isOneOf.includes(true) && has(words, OUTPUT) ? 'self_attn.o_proj' : null;
}

/** Whether the words name the first feed-forward matrix; null if they name neither. */
function isUpByWords(words: readonly string[]): boolean | null {
  if (has(words, UP)) return true;
  return has(words, DOWN) || words.join('_') === 'c_proj' ? false : null;
}

/** Whether a matrix is stored as [in, out], like in GPT-2: a fused one has the shape [C, 3C], others have a bias of [out]. */
function isTransposed({ weight, bias, layer }: Module, C: number): boolean {
  if (layer === null || weight?.length !== 2 || weight[0] === weight[1]) return false;
  return (weight[0] === C && weight[1] === 3 * C) || (bias !== null && bias[0] === weight[1]);
}

function endingNumber(name: string): number | null {
  const match = /(\d+)$/.exec(name);
  return match && Number(match[1]);
}

function endingNumbers(modules: readonly Module[]): number[] {
  return modules.map(({ name }) => endingNumber(name)).filter((number) => number !== null);
}

/** Whether `number` is the lower of two numbers; null if it is null or if there are not two. */
function isLowerOfTwo(number: number | null, numbers: readonly number[]): boolean | null {
  return number === null || numbers.length !== 2 ? null : number === Math.min(...numbers);
}
