import * as v from 'valibot';
import { GROUP, rowLayout } from '../../reference/lib/compactTensor.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError, ConfigError } from '../lib/errors.js';
import { show } from '../../reference/lib/tensor.js';
import { canonicalTensors } from './canonical.js';
import type { TensorInfo } from './header.js';
import { checkJson, objectOf } from '../lib/json.js';
import { plain, quote } from '../lib/quote.js';

/** How a checkpoint is quantized: the method in the key `quantization` of config.json. */
export type Quantization = 'int8' | 'int4';

const METHOD = objectOf(
  { method: v.optional(v.unknown()), group_size: v.optional(v.unknown()) },
  'must be an object with method and group_size',
);
const QUANTIZED = objectOf({ quantization: v.nullish(METHOD) }, 'must be a JSON object');

/** The ending of the name of the tensor that contains another tensor's scales. */
export const SCALES = '.scales';

/**
 * Parses the key `quantization` of config.json; null if it is missing.
 *
 * @throws ConfigError if the method or group size is not supported.
 */
export function parseQuantization(json: unknown, source: string): Quantization | null {
  const { quantization } = checkJson(QUANTIZED, json, { path: source, Fault: ConfigError });
  if (quantization == null) return null;
  const { method, group_size } = quantization;
  if (method !== 'int8' && method !== 'int4') {
    throw new ConfigError(`${source}: quantization.method must be int8 or int4, got ${quote(method)}`);
  }
  if (group_size !== GROUP[method]) {
    const expected = `${GROUP[method]} for ${method}`;
    throw new ConfigError(`${source}: quantization.group_size must be ${expected}, got ${quote(group_size)}`);
  }
  return method;
}

/** Formats a method so that {@link parseQuantization} reads it back. */
export function formatQuantization(method: Quantization): { method: Quantization; group_size: number } {
  return { method, group_size: GROUP[method] };
}

/** The method whose codes a dtype stores: int8 for I8, int4 for U8, null for any other. */
export function codesOf(dtype: string): Quantization | null {
  return dtype === 'I8' ? 'int8' : dtype === 'U8' ? 'int4' : null;
}

/**
 * Lists the tensors of a quantized checkpoint without its scales. Codes get the shape of the weights that they encode, and
 * their bytes include those of their scales.
 *
 * @throws CheckpointError if codes or scales have the wrong dtype or shape.
 */
export function withoutScales(tensors: readonly TensorInfo[], config: ModelConfig, source: string): TensorInfo[] {
  const canonical = canonicalTensors(config);
  const byName = new Map(tensors.map((info) => [info.name, info]));
  const scaleNames = new Set<string>();
  function check(info: TensorInfo | undefined, name: string, dtype: string, shape: readonly number[]): TensorInfo {
    if (!info) throw new CheckpointError(`${source}: tensor ${plain(name)} is missing`);
    if (info.dtype === dtype && show(info.shape) === show(shape)) return info;
    const found = `${info.dtype} ${show(info.shape)}`;
    throw new CheckpointError(`${source}: ${plain(name)} must be ${dtype} ${show(shape)}, but is ${found}`);
  }
  const weights = tensors.map((info) => {
    const dtype = codesOf(info.dtype);
    if (!dtype) return info;
    const shape = canonical.get(info.name)?.shape;
    if (shape?.length !== 2)
      throw new CheckpointError(`${source}: ${plain(info.name)} is ${info.dtype}, but is not a matrix of weights`);
    const { bytes, groups } = rowLayout(dtype, shape[1]);
    check(info, info.name, info.dtype, [shape[0], bytes]);
    const name = info.name + SCALES;
    const scales = check(byName.get(name), name, 'BF16', [shape[0], groups]);
    scaleNames.add(name);
    return { ...info, shape, bytes: info.bytes + scales.bytes };
  });
  return weights.filter(({ name }) => !scaleNames.has(name));
}
