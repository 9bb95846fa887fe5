import type { Dtype } from '../../reference/lib/compactTensor.js';
import { packRows, type PackRows } from '../../reference/lib/pack.js';

/** The function that packs weights: WebAssembly where SIMD is available, otherwise plain loops. */
export async function packerFor(dtype: Dtype): Promise<PackRows> {
  if (dtype === 'f32') return packRows; // never called: float32 needs no packing
  const { openPacker } = await import('../../accel/simd/pack.js');
  return (await openPacker().catch(() => null)) ?? packRows; // a page's security policy may forbid compiling
}
