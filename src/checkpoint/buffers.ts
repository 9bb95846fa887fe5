import { sizeOf } from '../../reference/lib/tensor.js';

/** The one kind of buffer whose values are checked: see `checkFrequencies` in readModel.ts. */
export const ROTARY_FREQUENCIES = 'rotary frequencies';

/**
 * The kind of a buffer, which is a tensor that PyTorch saves with a module although it is not a parameter: rotary
 * frequencies and tables, causal masks, positions. Null for a tensor that may be a parameter.
 */
export function bufferKind({ name, shape }: { name: string; shape: readonly number[] }): string | null {
  if (/(^|[._])inv_freq$/.test(name)) return ROTARY_FREQUENCIES;
  if (/(^|[._])(cos|sin|freqs_cis)(_cached|_cache)?$/.test(name) && shape.length >= 2) return 'rotary table';
  if (/(^|\.)(position_ids|masked_bias)$/.test(name)) return 'buffer';
  const isMask =
    /(^|[._])(mask|tril|causal_mask|attn_mask)$/.test(name) || /(^|[._])(attn|attention)\.bias$/.test(name);
  return isMask && isSquare(shape) ? 'causal mask' : null;
}

/** Whether a shape is [T, T], possibly after dimensions of 1. No bias of this architecture has more than one dimension. */
function isSquare(shape: readonly number[]): boolean {
  const T = shape.at(-1);
  return shape.length >= 2 && T === shape.at(-2) && sizeOf(shape) === T! ** 2;
}
