import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { Columns, DeviceLinear } from './bank.js';
import type { FusedOps } from './fused.js';
import type { KvCache } from './kvCache.js';
import { ropeTablesFor, type DeviceModel } from './upload.js';

/**
 * The pass of `model.ts` for one token whose activations nobody traces, in ten kernels a block instead of thirty.
 *
 * @returns logits [1, V]
 */
export async function decode(
  id: number,
  uploaded: DeviceModel,
  fused: FusedOps,
  cache: KvCache,
): Promise<Float32Tensor> {
  const { device, ops, blocks, finalNorm } = uploaded;
  const { dModel: C, nEmbed: E } = uploaded.model.config;
  const past = cache.length;
  await cache.reserve(1);
  const tables = await ropeTablesFor(uploaded, past + 1);
  let logits: Float32Tensor | null = null;
  await device.scope(async () => {
    const codes = await ops.embedding(await device.upload(tensor([1], Float32Array.of(id))));
    let x = await fused.row(await ops.repeatInterleave(codes, C / E));
    for (const [n, layer] of blocks.entries()) {
      x = await device.scope(async () => {
        const qkv = await fused.qkv(x, layer.attnNorm, columnsOf(layer.qProj), tables, past); // [3, C]
        const [keys, values] = await cache.appendFrom(n, qkv);
        const gathered = await fused.attention(qkv, keys, values, past); // [1, C]
        const mid = await fused.oProj(gathered, columnsOf(layer.oProj), x);
        const activated = await fused.ffnUp(mid, layer.ffnNorm, columnsOf(layer.ffnUp)); // [1, 4C]
        return fused.ffnDown(activated, columnsOf(layer.ffnDown), mid);
      });
    }
    // without a norm, the head reads the C elements with which the row begins
    const scores = finalNorm ? await fused.lmHead(x, finalNorm, columnsOf(ops.lmHead)) : await ops.lmHead(x);
    logits = await device.read(scores);
    return null;
  });
  cache.advance(1);
  return logits!;
}

function columnsOf({ columns }: DeviceLinear): Columns {
  return columns!;
}
