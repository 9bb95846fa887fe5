import { checkTokens } from '../../reference/lib/checkTokens.js';
import { rows, tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import type { LayerNormWeights, Model } from '../../reference/lib/weights.js';
import { add } from './add.js';
import { attention } from './attention.js';
import { block, type DeviceBlock } from './block.js';
import type { Device, DeviceTensor } from './device.js';
import { embedding } from './embedding.js';
import type { Traced } from './feedForward.js';
import { gelu } from './gelu.js';
import type { KvCache } from './kvCache.js';
import { layerNorm, type DeviceLayerNorm } from './layerNorm.js';
import { linear, type DeviceLinear } from './linear.js';
import { lmHead } from './lmHead.js';
import { repeatInterleave } from './repeatInterleave.js';
import { rope, ropeTables, type DeviceRopeTables } from './rope.js';

/** The kernels of a model, compiled for its device. */
export interface Ops {
  embedding: ReturnType<typeof embedding>;
  repeatInterleave: ReturnType<typeof repeatInterleave>;
  layerNorm: ReturnType<typeof layerNorm>;
  rope: ReturnType<typeof rope>;
  attention: ReturnType<typeof attention>;
  gelu: ReturnType<typeof gelu>;
  add: ReturnType<typeof add>;
  lmHead: DeviceLinear;
}

/** A model on a device: what sessions share. */
export interface DeviceModel {
  model: Model;
  device: Device;
  ops: Ops;
  blocks: DeviceBlock[];
  finalNorm: DeviceLayerNorm | null;
  tables: DeviceRopeTables; // for all positions
}

/** Uploads a model's weights, once. */
export async function uploadModel(model: Model, device: Device): Promise<DeviceModel> {
  const { config, weights } = model;
  const { dModel: C, nHead: H, blockSize } = config;
  const D = C / H;

  const norm = async ({ weight, bias }: LayerNormWeights): Promise<DeviceLayerNorm> => ({
    weight: await device.upload(weight),
    bias: await device.upload(bias ?? tensor([C])),
  });
  const roles = ['qProj', 'kProj', 'vProj', 'oProj', 'ffnUp', 'ffnDown'] as const;
  const layers = await linear(
    device,
    weights.blocks.flatMap((layer) => roles.map((role) => layer[role])),
  );
  const blocks: DeviceBlock[] = [];
  for (const [n, { attnNorm, ffnNorm }] of weights.blocks.entries()) {
    const [qProj, kProj, vProj, oProj, ffnUp, ffnDown] = layers.slice(n * roles.length);
    const norms = { attnNorm: await norm(attnNorm), ffnNorm: await norm(ffnNorm) };
    blocks.push({ ...norms, qProj, kProj, vProj, oProj, ffnUp, ffnDown });
  }
  const ops: Ops = {
    embedding: embedding(device, weights.embedding),
    repeatInterleave: repeatInterleave(device),
    layerNorm: layerNorm(device, C, config.layerNormEps),
    rope: rope(device, H, config.ropePairing),
    attention: attention(device, H, D),
    gelu: gelu(device, config.geluApproximate),
    add: add(device),
    lmHead: await lmHead(device, weights.lmHead),
  };
  const finalNorm = weights.finalNorm && (await norm(weights.finalNorm));
  return { model, device, ops, blocks, finalNorm, tables: await ropeTables(device, D, config.ropeTheta, blockSize) };
}

/** Tokens of one pass: for more, what a kernel leaves for the next would be over what buffers hold on many a device. */
export const CHUNK = 128;
/** Tokens whose logits are computed and read at a time: 65,536 of them are 17 MB. */
const HEAD_TOKENS = 64;

/**
 * The whole forward pass, on the device but for the ids on their way down and the logits on their way up. More tokens
 * than {@link CHUNK} take several passes, unless somebody looks at the activations.
 *
 * @param cache continues after the tokens held here, and holds these as well
 * @returns logits [T, V], or [1, V] for `logits: 'last'`
 * @throws InputError for no tokens, too many, or an id outside of the vocabulary; DeviceError if the device fails. The
 *   cache then holds what it held before.
 * @see reference/model.ts
 */
export async function forward(
  ids: readonly number[],
  model: DeviceModel,
  cache: KvCache,
  logits: 'all' | 'last',
  trace?: Trace,
): Promise<Tensor> {
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

/** Appends T tokens. @param scores [n, V] becomes the logits of the last n of them */
async function pass(
  ids: readonly number[],
  { model: { config }, device, ops, blocks, finalNorm, tables }: DeviceModel,
  cache: KvCache,
  scores: Tensor,
  trace?: Trace,
): Promise<void> {
  const { dModel: C, nEmbed: E, vocabSize: V } = config;
  const T = ids.length;
  const past = cache.length;
  const traced = (name: string, x: DeviceTensor): Promise<DeviceTensor> => report(device, name, x, trace);

  await cache.reserve(T);
  await device.scope(async () => {
    const codes = await traced(
      'embedding',
      await ops.embedding(await device.upload(tensor([T], Float32Array.from(ids)))),
    );
    let x = await traced('expanded', await ops.repeatInterleave(codes, C / E)); // [T, E] -> [T, C]

    const turns = {
      cos: await device.rows(tables.cos, past, past + T),
      sin: await device.rows(tables.sin, past, past + T),
    };
    for (const [n, layer] of blocks.entries()) {
      const tracedLayer: Traced = (name, y) => traced(`layers.${n}.${name}`, y);
      x = await block(device, ops, x, layer, n, config, turns, cache, tracedLayer); // [T, C]
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
