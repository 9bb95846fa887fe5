import type { ModelConfig } from '../../reference/lib/config.js';
import { ConfigError } from '../lib/errors.js';
import { isObject } from '../lib/guards.js';
import { quote } from '../lib/quote.js';
import { ACTIVATIONS, ALIASES, FOREIGN } from './configKeys.js';

/** A configuration, and which of its values did not come from the file. */
export interface ConfigReport {
  config: ModelConfig;
  /** Keys missing from the file, whose values are this project's defaults: assumed, not known. */
  assumed: string[];
  /** Keys that the file calls by another name: that name by our key, such as `hidden_size` for `d_model`. */
  aliases: Record<string, string>;
  /** Keys missing from the file whose values the shapes of the tensors show. */
  inferred: string[];
  warnings: string[];
}

/** The keys that have no default: {@link parseConfig} needs them from the file or from the shapes of the tensors. */
const REQUIRED = ['vocab_size', 'block_size', 'n_embed', 'd_model', 'n_layer', 'n_head'] as const;

const DEFAULTS = {
  rope_pairing: 'half',
  rope_theta: 10000,
  gelu_approximate: 'none',
  norm_position: 'pre',
  layer_norm_eps: 1e-5,
  pad_id: 57344,
} as const;

/** Keys whose other name is another library's business: the token that pads does not change what is computed. */
const MAY_DIFFER: readonly string[] = ['pad_id'];

/** Rotary angles are products in float32, which represents every position up to this one. */
const MAX_BLOCK_SIZE = 2 ** 24;

/**
 * Parses a `config.json` in the format of the published models, or with the keys of other libraries (`configKeys.ts`). It
 * may also contain keys that the published models leave to their code: `rope_pairing`, `rope_theta`, `gelu_approximate`,
 * `norm_position`, `layer_norm_eps`.
 *
 * @param source the name of the file to use in messages
 * @param sizes values for missing keys, as the shapes of the tensors show them
 * @throws ConfigError that names all missing keys, or the key and the fault.
 */
export function parseConfig(
  json: unknown,
  source = 'config.json',
  sizes: Readonly<Record<string, number>> = {},
): ConfigReport {
  const fields = new ConfigFields(json, source, sizes);
  fields.requireAll();
  fields.refuseForeign();
  const config: ModelConfig = {
    modelType: fields.string('model_type', 'custom'),
    vocabSize: fields.integer('vocab_size', 1),
    blockSize: fields.integer('block_size', 1),
    nEmbed: fields.integer('n_embed', 1),
    dModel: fields.integer('d_model', 1),
    nLayer: fields.integer('n_layer', 1),
    nHead: fields.integer('n_head', 1),
    padId: fields.integer('pad_id', 0),
    ropePairing: fields.choice('rope_pairing', ['half', 'interleaved']),
    ropeTheta: fields.positive('rope_theta'),
    geluApproximate: fields.choice('gelu_approximate', ['none', 'tanh']),
    normPosition: fields.choice('norm_position', ['pre', 'post']),
    layerNormEps: fields.positive('layer_norm_eps'),
  };
  if (config.blockSize > MAX_BLOCK_SIZE) {
    fields.fail('block_size', `must be at most ${MAX_BLOCK_SIZE}, got ${config.blockSize}: positions are float32`);
  }
  const { vocabSize: V, dModel: C, nHead: H, nEmbed: E, padId } = config;
  if (padId >= V) {
    if (fields.assumed.includes('pad_id')) config.padId = 0;
    else fields.warnings.push(`${source}: pad_id is ${padId}, outside the vocabulary of ${V}`);
  }
  if (C % H !== 0) fields.fail('n_head', `must divide d_model: ${H} heads, width ${C}`);
  if ((C / H) % 2 !== 0) {
    fields.fail('n_head', `must leave an even head width for the rotation: ${C} / ${H} = ${C / H}`);
  }
  if (C % E !== 0) fields.fail('n_embed', `must divide d_model: embedding ${E}, width ${C}`);
  const { assumed, aliases, inferred, warnings } = fields;
  return { config, assumed, aliases, inferred, warnings };
}

/** The keys without a default that a `config.json` does not have, under any name. */
export function missingKeys(json: unknown, source: string): string[] {
  return new ConfigFields(json, source).missing();
}

/** Reads and checks the fields of a `config.json`. */
class ConfigFields {
  /** Keys that were missing and got a default. */
  readonly assumed: string[] = [];
  readonly aliases: Record<string, string> = {};
  readonly inferred: string[] = [];
  readonly warnings: string[] = [];
  readonly #fields: Record<string, unknown>;
  readonly #source: string;
  readonly #sizes: Readonly<Record<string, number>>;

  constructor(json: unknown, source: string, sizes: Readonly<Record<string, number>> = {}) {
    if (!isObject(json)) throw new ConfigError(`${source}: expected a JSON object`);
    this.#fields = json;
    this.#source = source;
    this.#sizes = sizes;
  }

  fail(key: string, fault: string): never {
    const name = this.aliases[key] ?? key;
    throw new ConfigError(`${this.#source}: ${name} ${fault}`);
  }

  missing(): string[] {
    return REQUIRED.filter((key) => this.#nameOf(key) === null && !Object.hasOwn(this.#sizes, key));
  }

  requireAll(): void {
    const missing = this.missing();
    if (missing.length === 0) return;
    const list = missing.length === 1 ? missing[0] : `${missing.slice(0, -1).join(', ')} and ${missing.at(-1)!}`;
    const is = missing.length === 1 ? 'is missing: add it' : 'are missing: add them';
    const options = missing.map((key) => `--config ${key}=VALUE`).join(' ');
    throw new ConfigError(`${this.#source}: ${list} ${is}, or give ${options}`);
  }

  /** Refuses keys that make a model compute something else. */
  refuseForeign(): void {
    for (const [key, harmless] of Object.entries(FOREIGN)) {
      const value = this.#fields[key];
      if (value === undefined || value === null || harmless.includes(value)) continue;
      this.fail(key, `is ${quote(value)}, which this architecture does not have`);
    }
  }

  /** The name under which the file has a key; null if it has none. Others' names may be null, which means the same. */
  #nameOf(key: string): string | null {
    const has = (name: string): boolean => Object.hasOwn(this.#fields, name) && this.#fields[name] !== undefined;
    if (has(key)) return key;
    const others = Object.hasOwn(ALIASES, key) ? ALIASES[key] : [];
    return others.find((name) => has(name) && this.#fields[name] !== null) ?? null;
  }

  /** The value of a key under any of its names, or else from the shapes; undefined if there is none. */
  #value(key: string): unknown {
    const name = this.#nameOf(key);
    if (name === null) {
      if (!Object.hasOwn(this.#sizes, key)) return undefined;
      this.inferred.push(key);
      return this.#sizes[key];
    }
    if (name !== key) this.aliases[key] = name;
    const value = this.#translated(key, name);
    for (const other of MAY_DIFFER.includes(key) ? [] : (ALIASES[key] ?? [])) {
      const otherValue = this.#fields[other];
      if (other === name || otherValue === undefined || otherValue === null) continue;
      if (this.#translated(key, other) !== value) {
        this.fail(name, `is ${quote(this.#fields[name])} but ${other} is ${quote(otherValue)}`);
      }
    }
    return value;
  }

  /** The value under one of the names of a key. */
  #translated(key: string, name: string): unknown {
    const value = this.#fields[name];
    if (key !== 'gelu_approximate' || name === key) return value;
    if (typeof value === 'string' && Object.hasOwn(ACTIVATIONS, value)) return ACTIVATIONS[value];
    return this.fail(name, `must be one of ${Object.keys(ACTIVATIONS).join(', ')}, got ${quote(value)}`);
  }

  orDefault(key: keyof typeof DEFAULTS): unknown {
    const value = this.#value(key);
    if (value !== undefined) return value;
    this.assumed.push(key);
    return DEFAULTS[key];
  }

  string(key: string, fallback: string): string {
    const value = this.#fields[key] ?? fallback;
    if (typeof value !== 'string') this.fail(key, `must be a string, got ${quote(value)}`);
    return value;
  }

  integer(key: (typeof REQUIRED)[number] | 'pad_id', minimum: number): number {
    const value = key === 'pad_id' ? this.orDefault(key) : this.#value(key);
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
