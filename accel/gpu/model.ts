import { checkTokens } from '../../reference/lib/checkTokens.js';
import { rows, tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { block } from './block.js';
import { decode } from './decode.js';
import type { Device, DeviceTensor } from './device.js';
import type { Traced } from './feedForward.js';
import type { KvCache } from './kvCache.js';
import { ropeTablesFor, type DeviceModel } from './upload.js';

/** Maximum number of tokens per pass. With more, intermediate tensors would exceed the buffer limit of many devices. */
export const CHUNK = 128;
/** Compute and read the logits of this many tokens at a time: 17 MB for a vocabulary of 65,536. */
const HEAD_TOKENS = 64;

/**
 * The whole forward pass on the device: ids go in, logits come out. More tokens than {@link CHUNK} take several passes, unless
 * activations are traced. One token takes fewer kernels unless it is traced: see {@link decode}.
 *
 * @param cache holds the earlier tokens; the new ones are appended
 * @returns logits [T, V], or [1, V] for `logits: 'last'`
 * @throws InputError for no tokens, too many, or an id outside the vocabulary; DeviceError if the device fails. The cache
 *   then holds the same tokens as before.
 * @see reference/model.ts
 */
export async function forward(
  ids: readonly number[],
  model: DeviceModel,
  cache: KvCache,
  logits: 'all' | 'last',
  trace?: Trace,
): Promise<Float32Tensor> {
  const { config } = model.model;
  const held = cache.length;
  checkTokens(ids, held, config);
  const scores = tensor([logits === 'all' ? ids.length : 1, config.vocabSize]);
  const size = trace ? ids.length : CHUNK;
  try {
    for (let start = 0; start < ids.length; start += size) {
      const chunk = ids.slice(start, start + size);
      if (logits === 'all') await pass(chunk, model, cache, rows(scores, start, start + chunk.length), trace);
      else await pass(chunk, model, cache, rows(scores, 0, start + size < ids.length ? 0 : 1), trace);
    }
  } catch (error) {
    cache.length = held;
    throw error;
  }
  trace?.('logits', scores);
  return scores;
}

/** Appends T tokens and writes the logits of the last n of them to `scores` [n, V]. */
async function pass(
  ids: readonly number[],
  model: DeviceModel,
  cache: KvCache,
  scores: Float32Tensor,
  trace?: Trace,
): Promise<void> {
  const { device, ops, blocks, finalNorm } = model;
  const { config } = model.model;
  const { dModel: C, nEmbed: E, vocabSize: V } = config;
  const T = ids.length;
  if (T === 1 && scores.shape[0] === 1 && model.fused && !trace) {
    scores.data.set((await decode(ids[0], model, model.fused, cache)).data);
    return;
  }
  const past = cache.length;
  const traced = (name: string, x: DeviceTensor): Promise<DeviceTensor> => report(device, name, x, trace);

  await cache.reserve(T);
  const tables = await ropeTablesFor(model, past + T);
  await device.scope(async () => {
    const codes = await traced(
      'embedding',
      await ops.embedding(await device.upload(tensor([T], Float32Array.from(ids)))),
    );
    let x = await traced('expanded', await ops.repeatInterleave(codes, C / E)); // [T, E] -> [T, C]

    const cosSin = {
      cos: await device.rows(tables.cos, past, past + T),
      sin: await device.rows(tables.sin, past, past + T),
    };
    for (const [n, layer] of blocks.entries()) {
      const tracedLayer: Traced = (name, y) => traced(`layers.${n}.${name}`, y);
      x = await block(device, ops, x, layer, n, config, cosSin, cache, tracedLayer); // [T, C]
    }

    const [wanted] = scores.shape;
    if (finalNorm && wanted > 0) x = await traced('final_norm', await ops.layerNorm(x, finalNorm));
    for (let row = 0; row < wanted; row += HEAD_TOKENS) {
      await device.scope(async () => {
        const start = T - wanted + row;
        const part = await ops.lmHead(await device.rows(x, start, Math.min(start + HEAD_TOKENS, T)));
        scores.data.set((await device.read(part)).data, row * V);
        return null;
      });
    }
    return null;
  });
  cache.advance(T);
}

async function report(device: Device, name: string, x: DeviceTensor, trace?: Trace): Promise<DeviceTensor> {
  if (trace) trace(name, await device.read(x));
  return x;
}
