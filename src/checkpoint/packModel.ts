import { CompactTensor, rowLayout, type CompactDtype } from '../../reference/lib/compactTensor.js';
import { canHold } from '../../reference/lib/pack.js';
import { rows, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { LoadedModel, WeightsHome } from '../../accel/session.js';
import { CheckpointError } from '../lib/errors.js';
import { assemble, namedTensors } from './assemble.js';
import { packerFor } from './packer.js';
import { dtypeOf } from './readTensor.js';

/** Packing takes whole rows, about this many weights at a time. */
const SLAB = 2 ** 20;

/**
 * Packs the linear layers of a loaded model in fewer bits, as {@link readModel} would. The other tensors are shared.
 *
 * @param home where the packed weights go; the JavaScript heap by default
 * @returns the model, and the bytes of its packed weights
 * @throws CheckpointError for a weight that is NaN or infinite.
 */
export async function packModel(
  { config, weights }: LoadedModel,
  dtype: 'int4' | 'int8',
  home?: WeightsHome,
): Promise<{ model: LoadedModel; bytes: number }> {
  const pack = await packerFor(dtype);
  let bytes = 0;
  const packed = Object.entries(namedTensors(weights)).map(([name, x]): [string, Float32Tensor] => {
    const wanted = dtypeOf({ canonical: name }, x.shape, dtype);
    if (wanted === 'f32') return [name, x];
    const compact = allocate(x.shape, wanted, home);
    const [N, K] = compact.shape;
    const step = Math.max(1, Math.floor(SLAB / K));
    for (let n = 0; n < N; n += step) {
      const end = Math.min(n + step, N);
      const values = (x instanceof CompactTensor ? x.rows(n, end) : rows(x, n, end)).data;
      const { codes, scales } = compact.rows(n, end);
      if (!pack(wanted, values, K, codes, scales)) {
        const bad = values.find((value) => !canHold(wanted, Float32Array.of(value)));
        throw new CheckpointError(`${name} contains ${bad}, which ${wanted} cannot represent`);
      }
    }
    bytes += compact.codes.byteLength + compact.scales.byteLength;
    return [name, compact];
  });
  return { model: { config, weights: assemble(config, new Map(packed)), ...(home && { home }) }, bytes };
}

function allocate(shape: readonly number[], dtype: CompactDtype, home: WeightsHome | undefined): CompactTensor {
  const [N, K] = shape;
  const { bytes, groups } = rowLayout(dtype, K);
  const codes = home ? home.allocateBytes(N * bytes) : new Uint8Array(N * bytes);
  const scales = home ? home.allocateBytes(2 * N * groups) : new Uint8Array(2 * N * groups);
  return new CompactTensor([N, K], dtype, codes, new Uint16Array(scales.buffer, scales.byteOffset, N * groups));
}
