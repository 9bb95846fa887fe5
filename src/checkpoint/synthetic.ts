import type { ModelConfig } from '../../reference/lib/config.js';
import { sizeOf, tensor } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { assemble } from './assemble.js';
import { canonicalTensors } from './names.js';
import type { LazyTensor } from './safetensors.js';

/**
 * Lists the tensors of a checkpoint whose weights are integer hashes of (seed, tensor, index). This tests the full size
 * without shipping a gigabyte. `golden/synthetic.py` computes the same bits with numpy.
 *
 *     h = mix(index · 0x9e3779b1 + mix(seed + fnv1a(name)))        32 bits
 *     u = (h >>> 8) / 2²³ − 1                                      24 bits, in [−1, 1)
 *     weight = float32(center + float32(limit · u))
 *
 * Matrices have limit 2 / √K, so that a sum of K products is about as large as its input. Norm weights are in [0.5, 1.5).
 */
export function syntheticTensors(config: ModelConfig, seed: number): LazyTensor[] {
  return [...canonicalTensors(config).values()]
    .filter(({ name }) => isUpstream(name))
    .map(({ name, shape }) => ({
      name,
      dtype: 'F32',
      shape,
      make: () => syntheticTensor(name, shape, config.modelType, seed),
    }));
}

/** Builds a synthetic model in memory. */
export function syntheticModel(config: ModelConfig, seed: number): Model {
  const tensors = syntheticTensors(config, seed).map(
    ({ name, shape, make }) => [name, tensor(shape, make() as Float32Array)] as const,
  );
  return { config, weights: assemble(config, new Map(tensors)) };
}

/** Whether the published models have this tensor: their attention has no biases, and separate q, k and v. */
function isUpstream(name: string): boolean {
  return !name.includes('.qkv_proj.') && !/self_attn\..*bias$/.test(name);
}

function syntheticTensor(name: string, shape: readonly number[], modelType: string, seed: number): Float32Array {
  const data = new Float32Array(sizeOf(shape));
  const key = mix(seed + fnv1a(name));
  if (name === 'token_embeddings.weight' && modelType.endsWith('_bit')) {
    for (let i = 0; i < data.length; i++) data[i] = mix(Math.imul(i, GOLDEN_RATIO) + key) >>> 31;
    return data;
  }
  const { center, limit } = scaleOf(name, shape);
  for (let i = 0; i < data.length; i++) {
    const u = (mix(Math.imul(i, GOLDEN_RATIO) + key) >>> 8) / 2 ** 23 - 1;
    data[i] = center + Math.fround(limit * u);
  }
  return data;
}

function scaleOf(name: string, shape: readonly number[]): { center: number; limit: number } {
  if (shape.length === 2) return { center: 0, limit: Math.fround(2 / Math.sqrt(shape[1])) };
  if (name.includes('norm') && name.endsWith('weight')) return { center: 1, limit: 0.5 };
  return { center: 0, limit: 0.25 };
}

const GOLDEN_RATIO = 0x9e3779b1;

/** The finalizer of MurmurHash3: every bit of the input reaches every bit of the output. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a over the bytes of an ASCII name. */
function fnv1a(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
