import type { ModelConfig } from '../config.js';

/**
 * Guesses what a module of a checkpoint is from the words in its name, its place and the shape of its weight. Each rule
 * is a convention seen in published models; where two roles are possible nothing is guessed.
 */

/** A module: the tensors that share a name but for its ending, such as `h.3.attn.c_proj` with `.weight` and `.bias`. */
export interface Module {
  name: string;
  /** The layer that it belongs to, null for what stands outside of the layers. */
  layer: number | null;
  weight: readonly number[] | null;
  bias: readonly number[] | null;
}

/** A module's role: the canonical name, for those in a layer without the layer, and whether it is stored [in, out]. */
export interface Role {
  module: string;
  transposed: boolean;
}

const QUERY = ['q', 'query', 'queries', 'wq', 'qproj'];
const KEY = ['k', 'key', 'keys', 'wk', 'kproj'];
const VALUE = ['v', 'value', 'values', 'wv', 'vproj'];
const OUTPUT = ['o', 'out', 'output', 'wo', 'proj', 'dense', 'oproj'];
const EMBEDDING = ['emb', 'embed', 'embedding', 'embeddings', 'wte', 'tok', 'embedder'];
const HEAD = ['head', 'lm', 'output', 'out', 'unembed', 'unembedding', 'decoder', 'score', 'logits', 'classifier'];

/** Null where the words and shapes leave no role or more than one. */
export function guessRole(module: Module, siblings: readonly Module[], config: ModelConfig): Role | null {
  const { dModel: C, nEmbed: E, vocabSize: V } = config;
  const { weight, layer } = module;
  if (!weight) return null;
  if (weight.length === 1) {
    const name = layer === null ? 'final_layernorm' : guessNorm(module, siblings);
    return name === null ? null : { module: name, transposed: false };
  }
  if (weight.length !== 2) return null;
  if (layer === null) {
    const name = guessOutside(module.name, weight, V, E, C);
    return name === null ? null : { module: name, transposed: false };
  }
  return guessMatrix(module, siblings, C);
}

/** The last words of a name, the numbers behind it left out: `attn.to_out.0` gives `to`, `out`. */
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

/** Embedding [V, E] or head [V, C]: by shape, where they are alike by the words. */
function guessOutside(name: string, shape: readonly number[], V: number, E: number, C: number): string | null {
  const words = lastWords(name);
  const embeds = has(words, EMBEDDING);
  const scores = has(words, HEAD);
  if (shape[0] === V && E !== C && shape[1] === E) return 'token_embeddings';
  if (shape[0] === V && E !== C && shape[1] === C) return 'lm_head';
  if (words.some((word) => ['wpe', 'pos', 'position', 'positional'].includes(word))) return null;
  if (embeds === scores) return null;
  return embeds ? 'token_embeddings' : 'lm_head';
}

/** Attention's norm or the feed-forward's. */
function guessNorm(module: Module, siblings: readonly Module[]): string | null {
  const [attention, feedForward] = ['input_layernorm', 'post_attention_layernorm'];
  const words = wordsOf(module.name);
  if (words.includes('post') && has(words, ['attention', 'attn'])) return feedForward;
  if (words.includes('input')) return attention;
  const number = trailingNumber(module.name);
  if (number !== null) {
    // ln_1 and ln_2, or norms.0 and norms.1: the lower number comes first
    const others = siblings.filter(({ weight }) => weight?.length === 1).map(({ name }) => trailingNumber(name));
    const numbers = others.filter((other) => other !== null).sort((a, b) => a - b);
    if (numbers.length === 2) return number === numbers[0] ? attention : feedForward;
  }
  if (has(words, ['ffn', 'mlp', 'ff', 'feed', 'feedforward', 'final'])) return feedForward;
  if (has(words, ['attn', 'attention', 'sa'])) return attention;
  return null;
}

function trailingNumber(name: string): number | null {
  const match = /(\d+)$/.exec(name);
  return match && Number(match[1]);
}

/** A matrix in a layer: its shape tells the feed-forward and fused projections, the words tell q, k, v and output. */
function guessMatrix(module: Module, siblings: readonly Module[], C: number): Role | null {
  const transposed = isTransposed(module, C) || siblings.some((sibling) => isTransposed(sibling, C));
  const [rows, columns] = transposed ? module.weight!.toReversed() : module.weight!;
  function role(name: string): Role {
    return { module: name, transposed };
  }
  if (columns === C && rows === 3 * C) return role('self_attn.qkv_proj');
  if (columns === C && rows === 4 * C) return role('ffn.0');
  if (columns === 4 * C && rows === C) return role('ffn.2');

  const words = lastWords(module.name);
  const isOneOf = [QUERY, KEY, VALUE].map((options) => has(words, options));
  if (isOneOf.filter(Boolean).length === 1) return role(`self_attn.${'qkv'[isOneOf.indexOf(true)]}_proj`);
  if (!isOneOf.includes(true) && has(words, OUTPUT)) return role('self_attn.o_proj');
  return null;
}

/** GPT-2 stores its matrices [in, out]: a fused [C, 3C] can be nothing else, others are told by their bias. */
function isTransposed({ weight, bias, layer }: Module, C: number): boolean {
  if (layer === null || weight?.length !== 2 || weight[0] === weight[1]) return false;
  return (weight[0] === C && weight[1] === 3 * C) || (bias !== null && bias[0] === weight[1]);
}
