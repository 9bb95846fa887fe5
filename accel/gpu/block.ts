import type { ModelConfig } from '../../reference/lib/config.js';
import type { Device, DeviceTensor } from './device.js';
import { feedForward, type Traced } from './feedForward.js';
import type { KvCache } from './kvCache.js';
import type { DeviceLayerNorm } from './layerNorm.js';
import type { DeviceRopeTables } from './rope.js';
import type { DeviceBlock, Ops } from './upload.js';

/**
 * One of the L blocks: attention, then feed-forward, each added to the residual stream.
 *
 * @param x [T, C]
 * @param n index of the block, for the cache
 * @returns [T, C]; all other tensors are freed
 * @see reference/block.ts
 */
export function block(
  device: Device,
  ops: Ops,
  x: DeviceTensor,
  layer: DeviceBlock,
  n: number,
  { normPosition }: ModelConfig,
  tables: DeviceRopeTables,
  cache: KvCache,
  traced: Traced,
): Promise<DeviceTensor> {
  async function norm(name: string, weights: DeviceLayerNorm, y: DeviceTensor): Promise<DeviceTensor> {
    return traced(name, await ops.layerNorm(y, weights));
  }
  async function attend(y: DeviceTensor): Promise<DeviceTensor> {
    const q = await traced('q', await layer.qProj(y)); // [T, C]
    const k = await traced('k', await layer.kProj(y));
    const v = await traced('v', await layer.vProj(y));
    const qRot = await traced('q_rot', await ops.rope(q, tables));
    const kRot = await traced('k_rot', await ops.rope(k, tables));
    const [keys, values] = await cache.append(n, kRot, v); // [capacity, C]
    const gathered = await traced('attn', await ops.attention(qRot, keys, values, cache.length)); // [T, C]
    return traced('attn_out', await layer.oProj(gathered));
  }
  function feed(y: DeviceTensor): Promise<DeviceTensor> {
    return feedForward(y, layer.ffnUp, ops.gelu, layer.ffnDown, traced);
  }
  async function sum(name: string, y: DeviceTensor, z: DeviceTensor): Promise<DeviceTensor> {
    return traced(name, await ops.add(y, z));
  }

  return device.scope(async () => {
    if (normPosition === 'pre') {
      x = await sum('resid_mid', x, await attend(await norm('attn_norm', layer.attnNorm, x)));
      return sum('resid', x, await feed(await norm('ffn_norm', layer.ffnNorm, x)));
    }
    x = await norm('attn_norm', layer.attnNorm, await sum('resid_mid', x, await attend(x)));
    return norm('ffn_norm', layer.ffnNorm, await sum('resid', x, await feed(x)));
  });
}
