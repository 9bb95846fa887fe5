import type { ModelConfig } from '../../reference/lib/config.js';
import { ConfigError } from '../lib/errors.js';
import { isObject } from '../lib/guards.js';
import { quote } from '../lib/quote.js';

/** A configuration, and which of its values did not come from the file. */
export interface ConfigReport {
  config: ModelConfig;
  /** Keys missing from the file, whose values are this project's defaults: assumed, not known. */
  assumed: string[];
}

const DEFAULTS = {
  rope_pairing: 'half',
  rope_theta: 10000,
  gelu_approximate: 'none',
  norm_position: 'pre',
  layer_norm_eps: 1e-5,
  pad_id: 57344,
} as const;

/** Rotary angles are products in float32, which represents every position up to this one. */
const MAX_BLOCK_SIZE = 2 ** 24;

/**
 * Parses a `config.json` in the format of the published models: snake case, `n_embed` or `n_embd`. It may also contain
 * keys that the published models leave to their code: `rope_pairing`, `rope_theta`, `gelu_approximate`,
 * `norm_position`, `layer_norm_eps`.
 *
 * @param source the name of the file to use in messages
 * @throws ConfigError that names the key and the fault.
 */
export function parseConfig(json: unknown, source = 'config.json'): ConfigReport {
  const fields = new ConfigFields(json, source);
  const nEmbed = fields.alias('n_embed', 'n_embd');
  const config: ModelConfig = {
    modelType: fields.string('model_type', 'custom'),
    vocabSize: fields.integer('vocab_size', 1),
    blockSize: fields.integer('block_size', 1),
    nEmbed: fields.integer('n_embed', 1, nEmbed),
    dModel: fields.integer('d_model', 1),
    nLayer: fields.integer('n_layer', 1),
    nHead: fields.integer('n_head', 1),
    padId: fields.integer('pad_id', 0, fields.orDefault('pad_id')),
    ropePairing: fields.choice('rope_pairing', ['half', 'interleaved']),
    ropeTheta: fields.positive('rope_theta'),
    geluApproximate: fields.choice('gelu_approximate', ['none', 'tanh']),
    normPosition: fields.choice('norm_position', ['pre', 'post']),
    layerNormEps: fields.positive('layer_norm_eps'),
  };
  if (config.blockSize > MAX_BLOCK_SIZE) {
    fields.fail('block_size', `must be at most ${MAX_BLOCK_SIZE}, got ${config.blockSize}: positions are float32`);
  }
  const { dModel: C, nHead: H, nEmbed: E } = config;
  if (C % H !== 0) fields.fail('n_head', `must divide d_model: ${H} heads, width ${C}`);
  if ((C / H) % 2 !== 0) {
    fields.fail('n_head', `must leave an even head width for the rotation: ${C} / ${H} = ${C / H}`);
  }
  if (C % E !== 0) fields.fail('n_embed', `must divide d_model: embedding ${E}, width ${C}`);
  return { config, assumed: fields.assumed };
}

/** Reads and checks the fields of a `config.json`. */
class ConfigFields {
  /** Keys that were missing and got a default. */
  readonly assumed: string[] = [];
  readonly #fields: Record<string, unknown>;
  readonly #source: string;

  constructor(json: unknown, source: string) {
    if (!isObject(json)) throw new ConfigError(`${source}: expected a JSON object`);
    this.#fields = json;
    this.#source = source;
  }

  fail(key: string, fault: string): never {
    throw new ConfigError(`${this.#source}: ${key} ${fault}`);
  }

  /** The value of a field that has two names. */
  alias(key: string, other: string): unknown {
    const value = this.#fields[key];
    const otherValue = this.#fields[other];
    if (value === undefined) return otherValue;
    if (otherValue !== undefined && otherValue !== value) {
      this.fail(key, `is ${quote(value)} but ${other} is ${quote(otherValue)}`);
    }
    return value;
  }

  orDefault(key: keyof typeof DEFAULTS): unknown {
    const value = this.#fields[key];
    if (value !== undefined) return value;
    this.assumed.push(key);
    return DEFAULTS[key];
  }

  string(key: string, fallback: string): string {
    const value = this.#fields[key] ?? fallback;
    if (typeof value !== 'string') this.fail(key, `must be a string, got ${quote(value)}`);
    return value;
  }

  integer(key: string, minimum: number, value: unknown = this.#fields[key]): number {
    if (value === undefined) this.fail(key, 'is missing');
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) {
      this.fail(key, `must be an integer of at least ${minimum}, got ${quote(value)}`);
    }
    return value;
  }

  positive(key: 'rope_theta' | 'layer_norm_eps'): number {
    const value = this.orDefault(key);
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      this.fail(key, `must be a positive number, got ${quote(value)}`);
    }
    return value;
  }

  choice<T extends string>(key: keyof typeof DEFAULTS, options: readonly T[]): T {
    const value = this.orDefault(key);
    const option = options.find((name) => name === value);
    return option ?? this.fail(key, `must be one of ${options.join(', ')}, got ${quote(value)}`);
  }
}

/**
 * Formats a configuration with the published keys and ours. {@link parseConfig} reads it back unchanged.
 *
 * @param assumed keys to leave out, because their values were assumed: a reader then assumes them again, and says so
 */
export function formatConfig(config: ModelConfig, assumed: readonly string[] = []): Record<string, unknown> {
  const keys = {
    architectures: ['BVVForCausalLM'],
    model_type: config.modelType,
    vocab_size: config.vocabSize,
    block_size: config.blockSize,
    n_embed: config.nEmbed,
    d_model: config.dModel,
    n_layer: config.nLayer,
    n_head: config.nHead,
    pad_id: config.padId,
    torch_dtype: 'float32',
    rope_pairing: config.ropePairing,
    rope_theta: config.ropeTheta,
    gelu_approximate: config.geluApproximate,
    norm_position: config.normPosition,
    layer_norm_eps: config.layerNormEps,
  };
  return Object.fromEntries(Object.entries(keys).filter(([key]) => !assumed.includes(key)));
}

const FAMILY = {
  vocabSize: 65536,
  blockSize: 1024,
  dModel: 1024,
  nLayer: 16,
  nHead: 32,
  padId: DEFAULTS.pad_id,
  ropePairing: DEFAULTS.rope_pairing,
  ropeTheta: DEFAULTS.rope_theta,
  geluApproximate: DEFAULTS.gelu_approximate,
  normPosition: DEFAULTS.norm_position,
  layerNormEps: DEFAULTS.layer_norm_eps,
} as const;

/**
 * The ten models of arXiv 2507.04886, which share a backbone and differ in the embedding table, and members of the wider
 * family: nine layers (arXiv 2507.07129), and 32 layers without a table (arXiv 2605.09751). Sizes are from the published
 * cards; the names of the nine-layer models are ours.
 */
export const PRESETS: Readonly<Record<string, ModelConfig>> = Object.fromEntries(
  Object.entries({
    model_16_bit: [16],
    model_16_float: [16],
    model_64_bit: [64],
    model_64_float: [64],
    model_256_bit: [256],
    model_256_float: [256],
    model_1024_bit: [1024],
    model_1024_float: [1024],
    model_uni_glyph: [1024],
    model_unfrozen: [1024],
    growing_transformers_16_bit: [16, 9],
    growing_transformers_unicode: [1024, 9],
    growing_transformers_unfrozen: [1024, 9],
    model_binary_affine_code_n_layer_32: [16, 32],
  }).map(([modelType, [nEmbed, nLayer = FAMILY.nLayer]]) => [modelType, { ...FAMILY, modelType, nEmbed, nLayer }]),
);

/** Those of {@link PRESETS} that compute affine codes and have no table. */
export const TABLE_FREE_PRESETS: readonly string[] = ['model_binary_affine_code_n_layer_32'];

/** The config.json key of a field of {@link ModelConfig}: `ropePairing` becomes `rope_pairing`. */
export function configKey(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
