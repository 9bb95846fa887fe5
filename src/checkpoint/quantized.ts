import { GROUP, rowLayout } from '../../reference/lib/compactTensor.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { CheckpointError, ConfigError } from '../lib/errors.js';
import { show } from '../../reference/lib/tensor.js';
import { canonicalTensors } from './canonical.js';
import type { TensorInfo } from './header.js';
import { plain } from '../lib/quote.js';

/** How the integers of a checkpoint came to be: the key `quantization` of config.json. */
export type Quantization = 'int8' | 'int4';

/** The tensor that holds the scales of another. */
export const SCALES = '.scales';

/** What config.json says of it; null where it says nothing. @throws ConfigError if that is not known here. */
export function parseQuantization(json: unknown, source: string): Quantization | null {
  const { quantization } = json as { quantization?: { method?: unknown; group_size?: unknown } | null };
  if (quantization === undefined || quantization === null) return null;
  const { method, group_size } = quantization;
  if (method !== 'int8' && method !== 'int4') {
    throw new ConfigError(`${source}: quantization.method must be int8 or int4, got ${JSON.stringify(method)}`);
  }
  if (group_size !== GROUP[method]) {
    const expected = `${GROUP[method]} for ${method}`;
    throw new ConfigError(`${source}: quantization.group_size must be ${expected}, got ${JSON.stringify(group_size)}`);
  }
  return method;
}

/** As {@link parseQuantization} reads it. */
export function formatQuantization(method: Quantization): { method: Quantization; group_size: number } {
  return { method, group_size: GROUP[method] };
}

/** Whether a tensor holds codes, and of what kind: I8 for int8, U8 for int4. */
export function codesOf(dtype: string): Quantization | null {
  return dtype === 'I8' ? 'int8' : dtype === 'U8' ? 'int4' : null;
}

/**
 * Lists the tensors of a quantized checkpoint as if they were not quantized: codes get the shape of their weights, and
 * the bytes of their scales are added to theirs.
 *
 * @throws CheckpointError if codes or scales have the wrong type or shape.
 */
export function withoutScales(tensors: readonly TensorInfo[], config: ModelConfig, source: string): TensorInfo[] {
  const canonical = canonicalTensors(config);
  const byName = new Map(tensors.map((info) => [info.name, info]));
  const held = new Set<string>();
  function check(info: TensorInfo | undefined, name: string, dtype: string, shape: readonly number[]): TensorInfo {
    if (!info) throw new CheckpointError(`${source}: there is no tensor ${plain(name)}`);
    if (info.dtype === dtype && show(info.shape) === show(shape)) return info;
    const found = `${info.dtype} ${show(info.shape)}`;
    throw new CheckpointError(`${source}: ${plain(name)} must be ${dtype} ${show(shape)}, and is ${found}`);
  }
  const weights = tensors.map((info) => {
    const dtype = codesOf(info.dtype);
    if (!dtype) return info;
    const shape = canonical.get(info.name)?.shape;
    if (shape?.length !== 2) throw new CheckpointError(`${source}: ${plain(info.name)} is no matrix of weights`);
    const { bytes, groups } = rowLayout(dtype, shape[1]);
    check(info, info.name, info.dtype, [shape[0], bytes]);
    const name = info.name + SCALES;
    const scales = check(byName.get(name), name, 'BF16', [shape[0], groups]);
    held.add(name);
    return { ...info, shape, bytes: info.bytes + scales.bytes };
  });
  return weights.filter(({ name }) => !held.has(name));
}
