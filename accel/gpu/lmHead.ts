import type { LinearWeights } from '../../reference/lib/weights.js';
import type { Device } from './device.js';
import { linear, type DeviceLinear } from './linear.js';

/**
 * logits[t, v] = x[t] · weight[v] + bias[v].
 *
 * @see reference/lmHead.ts
 */
export async function lmHead(device: Device, head: LinearWeights): Promise<DeviceLinear> {
  const [scores] = await linear(device, [head]);
  return scores;
}
