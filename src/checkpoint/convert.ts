import { packRows } from '../../reference/lib/pack.js';
import { CompactTensor, type Dtype } from '../../reference/lib/compactTensor.js';
import { sizeOf, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { namedTensors } from './assemble.js';
import { formatQuantization, SCALES } from './quantized.js';
import type { LazyTensor } from './writer.js';

/**
 * Lists the tensors of a model as a checkpoint stores them, under canonical names. Compact tensors keep their dtype; the
 * others become F32. int8 codes are I8 [N, K] and int4 codes U8 [N, K / 2], with rows padded to whole groups. Their
 * scales are a separate BF16 tensor [N, groups].
 *
 * @param embedding the dtype of the embedding, which must represent its numbers exactly
 */
export function checkpointTensors({ weights }: Model, embedding: 'F32' | 'BF16' | 'F16' = 'F32'): LazyTensor[] {
  return Object.entries(namedTensors(weights)).flatMap(([name, x]) => {
    if (x instanceof CompactTensor) return compactTensors(name, x);
    return name === 'token_embeddings.weight' && embedding !== 'F32'
      ? [{ name, dtype: embedding, shape: x.shape, make: (): Uint8Array => packHalves(x, embedding) }]
      : [{ name, dtype: 'F32' as const, shape: x.shape, make: (): Float32Array => x.data }];
  });
}

/** The keys of config.json that record the dtype of the weights. */
export function checkpointKeys(dtype: Dtype): Record<string, unknown> {
  if (dtype === 'int8' || dtype === 'int4') return { quantization: formatQuantization(dtype) };
  return { torch_dtype: { f32: 'float32', bf16: 'bfloat16', f16: 'float16' }[dtype] };
}

function compactTensors(name: string, { shape, dtype, codes, scales }: CompactTensor): LazyTensor[] {
  const [N] = shape;
  if (dtype === 'bf16' || dtype === 'f16') {
    return [{ name, dtype: dtype === 'bf16' ? 'BF16' : 'F16', shape, make: () => codes }];
  }
  const bytes = new Uint8Array(scales.buffer, scales.byteOffset, scales.byteLength);
  return [
    { name, dtype: dtype === 'int8' ? 'I8' : 'U8', shape: [N, codes.length / N], make: () => codes },
    { name: name + SCALES, dtype: 'BF16', shape: [N, scales.length / N], make: () => bytes },
  ];
}

/** Rounds a tensor to 16 bits. */
function packHalves({ data, shape }: Float32Tensor, dtype: 'BF16' | 'F16'): Uint8Array {
  const bytes = new Uint8Array(2 * sizeOf(shape));
  packRows(dtype === 'BF16' ? 'bf16' : 'f16', data, data.length, bytes, new Uint16Array(0));
  return bytes;
}
