/**
 * The names that other libraries give to the keys of config.json: transformers (GPT-2, GPT-NeoX, Llama), nanoGPT, MPT,
 * x-transformers. A key of ours has the first place.
 */
export const ALIASES: Readonly<Record<string, readonly string[]>> = {
  vocab_size: ['n_vocab', 'vocabulary_size', 'num_tokens'],
  block_size: [
    'max_position_embeddings',
    'n_positions',
    'n_ctx',
    'max_seq_len',
    'max_seq_length',
    'max_sequence_length',
    'context_length',
    'seq_len',
    'seq_length',
  ],
  n_embed: ['n_embd', 'embedding_size', 'embedding_dim', 'd_embed'],
  d_model: ['hidden_size', 'dim', 'model_dim', 'hidden_dim', 'width'],
  n_layer: ['num_hidden_layers', 'n_layers', 'num_layers', 'depth'],
  n_head: ['num_attention_heads', 'n_heads', 'num_heads', 'heads'],
  pad_id: ['pad_token_id'],
  rope_theta: ['rotary_emb_base', 'rotary_base', 'rope_base'],
  gelu_approximate: ['hidden_act', 'activation_function', 'hidden_activation'],
  layer_norm_eps: ['layer_norm_epsilon', 'norm_epsilon', 'norm_eps', 'rms_norm_eps'],
};

/** What the activation functions of transformers are here. */
export const ACTIVATIONS: Readonly<Record<string, string>> = {
  gelu: 'none',
  gelu_python: 'none',
  gelu_new: 'tanh',
  gelu_pytorch_tanh: 'tanh',
  gelu_fast: 'tanh',
};

/** Keys that change what a model computes in ways that this architecture does not have, and the values that do not. */
export const FOREIGN: Readonly<Record<string, readonly unknown[]>> = {
  rope_scaling: [null],
  rotary_pct: [1],
  partial_rotary_factor: [1],
  use_parallel_residual: [false],
  alibi: [false],
};

/** The keys of config.json that are used here, by our names. */
export const KEYS: readonly string[] = ['model_type', ...Object.keys(ALIASES), 'rope_pairing', 'norm_position'];

/** The key of ours that a key of config.json stands for; null if it is not used here. */
export function canonicalKey(key: string): string | null {
  if (KEYS.includes(key)) return key;
  return Object.keys(ALIASES).find((canonical) => ALIASES[canonical].includes(key)) ?? null;
}

/**
 * A config.json with some keys replaced. A replaced key replaces all its other names.
 *
 * @param keys ours or others', as in config.json
 */
export function withKeys(
  json: Readonly<Record<string, unknown>>,
  keys: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const replaced = new Set(Object.keys(keys).flatMap((key) => namesOf(canonicalKey(key) ?? key)));
  const kept = Object.entries(json).filter(([key]) => !replaced.has(key));
  return Object.fromEntries([...kept, ...Object.entries(keys)]);
}

function namesOf(key: string): readonly string[] {
  return Object.hasOwn(ALIASES, key) ? [key, ...ALIASES[key]] : [key];
}
