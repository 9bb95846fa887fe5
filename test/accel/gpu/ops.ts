import { add } from '../../../accel/gpu/add.js';
import { attention } from '../../../accel/gpu/attention.js';
import type { Device, DeviceTensor } from '../../../accel/gpu/device.js';
import { embedding } from '../../../accel/gpu/embedding.js';
import { gelu } from '../../../accel/gpu/gelu.js';
import { layerNorm } from '../../../accel/gpu/layerNorm.js';
import { linear } from '../../../accel/gpu/linear.js';
import { lmHead } from '../../../accel/gpu/lmHead.js';
import { repeatInterleave } from '../../../accel/gpu/repeatInterleave.js';
import { rope, ropeTables } from '../../../accel/gpu/rope.js';
import { softmax } from '../../../accel/gpu/softmax.js';
import { tensor, type Float32Tensor } from '../../../reference/lib/tensor.js';
import { filled, type AcceleratedOps } from '../parity.js';

/** Caches grow by this many rows; rows past the last position are ignored. */
const STEP = 128;

/** The ops of GPU.js on a device. Runs in browsers, too. */
export function gpuOps(device: Device): AcceleratedOps {
  /** Runs an op, reads its result and frees everything it allocated. */
  async function result(body: () => Promise<DeviceTensor>): Promise<Float32Tensor> {
    let y: Float32Tensor | null = null;
    await device.scope(async () => {
      y = await device.read(await body());
      return null;
    });
    return y!;
  }
  // these accept any shape, so they compile once
  const [sum, repeat, weights] = [add(device), repeatInterleave(device), softmax(device)];
  const gelus = { none: gelu(device, 'none'), tanh: gelu(device, 'tanh') };

  async function padRows(x: Float32Tensor): Promise<DeviceTensor> {
    const [S, C] = x.shape;
    const longer = filled([Math.ceil(S / STEP) * STEP, C], 1);
    longer.data.set(x.data);
    return device.upload(longer);
  }

  return {
    add: (a, b) => result(async () => sum(await device.upload(a), await device.upload(b))),
    embedding: (ids, table) =>
      result(async () => embedding(device, table)(await device.upload(tensor([ids.length], Float32Array.from(ids))))),
    repeatInterleave: (x, repeats) => result(async () => repeat(await device.upload(x), repeats)),
    layerNorm: (x, { weight, bias }, eps) =>
      result(async () =>
        layerNorm(
          device,
          x.shape[1],
          eps,
        )(await device.upload(x), {
          weight: await device.upload(weight),
          bias: await device.upload(bias!),
        }),
      ),
    async linear(x, layer) {
      // a bank of three, so that a wrong offset shows
      const other = { weight: filled(layer.weight.shape, 99), bias: null };
      return result(async () => {
        const [, apply] = await linear(device, [other, layer, other]);
        return apply(await device.upload(x));
      });
    },
    lmHead: (x, layer) => result(async () => (await lmHead(device, layer))(await device.upload(x))),
    rope: (x, H, past, pairing) =>
      result(async () => {
        const [T, C] = x.shape;
        const { cos, sin } = await ropeTables(device, C / H, 10000, past + T);
        const cosSin = { cos: await device.rows(cos, past, past + T), sin: await device.rows(sin, past, past + T) };
        const y = await rope(device, H, pairing)(await device.upload(x), cosSin);
        device.free(cos);
        device.free(sin);
        return y;
      }),
    softmax: (scores, past) => result(async () => weights(await device.upload(scores), past)),
    attention: (q, k, v, H) =>
      result(async () => {
        const D = q.shape[1] / H;
        const past = k.shape[0] - q.shape[0];
        return attention(device, H, D)(await device.upload(q), await padRows(k), await padRows(v), past);
      }),
    gelu: (x, approximate) => result(async () => gelus[approximate](await device.upload(x))),
  };
}
