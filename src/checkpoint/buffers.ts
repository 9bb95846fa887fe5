import { sizeOf } from '../../reference/lib/tensor.js';

/** What a tensor that is no parameter is called where its values are needed: see `checkFrequencies` in load.ts. */
export const ROTARY_FREQUENCIES = 'rotary frequencies';

/**
 * What modules register beside their parameters, and PyTorch saves with them: rotary frequencies and tables, causal
 * masks, positions. Null for what may be a parameter.
 */
export function bufferKind({ name, shape }: { name: string; shape: readonly number[] }): string | null {
  if (/(^|[._])inv_freq$/.test(name)) return ROTARY_FREQUENCIES;
  if (/(^|[._])(cos|sin|freqs_cis)(_cached|_cache)?$/.test(name) && shape.length >= 2) return 'rotary table';
  if (/(^|\.)(position_ids|masked_bias)$/.test(name)) return 'buffer';
  const isMask =
    /(^|[._])(mask|tril|causal_mask|attn_mask)$/.test(name) || /(^|[._])(attn|attention)\.bias$/.test(name);
  return isMask && isSquare(shape) ? 'causal mask' : null;
}

/** [T, T], perhaps with ones before it: no bias of this architecture has more than one dimension. */
function isSquare(shape: readonly number[]): boolean {
  const T = shape.at(-1);
  return shape.length >= 2 && T === shape.at(-2) && sizeOf(shape) === T! ** 2;
}
