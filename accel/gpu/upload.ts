import { tensor } from '../../reference/lib/tensor.js';
import type { LayerNormWeights, Model } from '../../reference/lib/weights.js';
import { add } from './add.js';
import { attention } from './attention.js';
import type { DeviceLinear } from './bank.js';
import type { Device } from './device.js';
import { embedding } from './embedding.js';
import { canFuse, fused, type FusedOps } from './fused.js';
import { gelu } from './gelu.js';
import { layerNorm, type DeviceLayerNorm } from './layerNorm.js';
import { linear } from './linear.js';
import { lmHead } from './lmHead.js';
import { repeatInterleave } from './repeatInterleave.js';
import { rope, ropeTables, type DeviceRopeTables } from './rope.js';

/** The ops of a model on its device. */
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

/** One of the L blocks, with its weights on the device. */
export interface DeviceBlock {
  attnNorm: DeviceLayerNorm;
  qProj: DeviceLinear;
  kProj: DeviceLinear;
  vProj: DeviceLinear;
  oProj: DeviceLinear;
  ffnNorm: DeviceLayerNorm;
  ffnUp: DeviceLinear;
  ffnDown: DeviceLinear;
}

/** A model on a device, shared by its sessions. */
export interface DeviceModel {
  model: Model;
  device: Device;
  ops: Ops;
  blocks: DeviceBlock[];
  finalNorm: DeviceLayerNorm | null;
  /** The kernels of one token, where `decode.ts` can compute the model. */
  fused: FusedOps | null;
  tables: DeviceRopeTables; // of the first positions; {@link ropeTablesFor} grows them
}

/** Positions that the rotary tables cover at first. */
const FIRST_POSITIONS = 1024;

/** Uploads a model's weights and makes its ops. */
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
  const tables = await ropeTables(device, D, config.ropeTheta, Math.min(FIRST_POSITIONS, blockSize));
  const fusedOps = canFuse(config, blocks) ? await fused(device, config) : null;
  return { model, device, ops, blocks, finalNorm, fused: fusedOps, tables };
}

/** The rotary tables of a model, grown if they cover fewer than `positions`: with use, not with block_size. */
export async function ropeTablesFor(uploaded: DeviceModel, positions: number): Promise<DeviceRopeTables> {
  const { device, tables } = uploaded;
  const { dModel: C, nHead: H, ropeTheta, blockSize } = uploaded.model.config;
  const [covered] = tables.cos.shape;
  if (covered < positions) {
    const wanted = Math.min(Math.max(positions, 2 * covered), blockSize);
    uploaded.tables = await ropeTables(device, C / H, ropeTheta, wanted);
    device.free(tables.cos);
    device.free(tables.sin);
  }
  return uploaded.tables;
}
