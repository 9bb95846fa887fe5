import type { DeviceLinear } from './bank.js';
import type { DeviceTensor } from './device.js';

/** Receives each activation before the next op uses it, and returns it. */
export type Traced = (name: string, x: DeviceTensor) => Promise<DeviceTensor>;

/**
 * y = down(gelu(up(x))).
 *
 * @see reference/feedForward.ts
 */
export async function feedForward(
  x: DeviceTensor,
  up: DeviceLinear,
  gelu: (x: DeviceTensor) => Promise<DeviceTensor>,
  down: DeviceLinear,
  traced: Traced = (_, value) => Promise.resolve(value),
): Promise<DeviceTensor> {
  const raised = await traced('ffn_up', await up(x)); // [T, C] -> [T, 4C]
  const activated = await traced('ffn_act', await gelu(raised)); // [T, 4C]
  return traced('ffn_out', await down(activated)); // [T, 4C] -> [T, C]
}
