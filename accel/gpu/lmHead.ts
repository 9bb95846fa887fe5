import type { LinearWeights } from '../../reference/lib/weights.js';
import type { DeviceLinear } from './bank.js';
import type { Device } from './device.js';
import { linear } from './linear.js';

/**
 * logits[t, v] = x[t] · weight[v] + bias[v].
 *
 * @see reference/lmHead.ts
 */
export async function lmHead(device: Device, head: LinearWeights): Promise<DeviceLinear> {
  const [scores] = await linear(device, [head]);
  return scores;
}
