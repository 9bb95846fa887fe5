import { ropeTables } from '../../reference/rope.js';
import { CompactTensor, GROUP, type CompactDtype, type Dtype } from '../../reference/lib/compactTensor.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { DeviceError } from '../errors.js';
import type { LayerNormWeights, LinearWeights, Model } from '../../reference/lib/weights.js';
import { SCRATCH_BYTES } from './constants.js';
import type { Engine } from './engine.js';

/** Addresses of a layer's weights; `bias` is 0 if the layer has none. */
export interface SimdLinear {
  weight: number;
  bias: number;
  /** Number of outputs. */
  N: number;
  dtype: Dtype;
  scales: number;
}

export interface SimdLayerNorm {
  weight: number;
  bias: number;
  eps: number;
}

/** Cosines and sines of the first positions, [positions, D/2] each. */
export interface SimdRopeTables {
  cos: number;
  sin: number;
  positions: number;
  H: number;
  interleaved: boolean;
}

export interface SimdBlock {
  attnNorm: SimdLayerNorm;
  qProj: SimdLinear;
  kProj: SimdLinear;
  vProj: SimdLinear;
  oProj: SimdLinear;
  ffnNorm: SimdLayerNorm;
  ffnUp: SimdLinear;
  ffnDown: SimdLinear;
}

/** A model in the memory of an engine. Sessions share it. */
export interface SimdModel {
  config: ModelConfig;
  engine: Engine;
  embedding: number;
  blocks: SimdBlock[];
  finalNorm: SimdLayerNorm | null;
  lmHead: SimdLinear;
  tables: SimdRopeTables;
}

/** Returns the addresses of a model's weights in the engine's memory. Weights outside it are copied. */
export function uploadModel({ config, weights }: Model, engine: Engine): SimdModel {
  const linear = (layer: LinearWeights): SimdLinear => uploadLinear(layer, engine);
  const norm = (layer: LayerNormWeights): SimdLayerNorm => uploadLayerNorm(layer, config.layerNormEps, engine);
  return {
    config,
    engine,
    embedding: engine.upload(weights.embedding.data),
    blocks: weights.blocks.map((block) => ({
      attnNorm: norm(block.attnNorm),
      qProj: linear(block.qProj),
      kProj: linear(block.kProj),
      vProj: linear(block.vProj),
      oProj: linear(block.oProj),
      ffnNorm: norm(block.ffnNorm),
      ffnUp: linear(block.ffnUp),
      ffnDown: linear(block.ffnDown),
    })),
    finalNorm: weights.finalNorm && norm(weights.finalNorm),
    lmHead: linear(weights.lmHead),
    tables: uploadRopeTables(config, engine, Math.min(FIRST_POSITIONS, config.blockSize)),
  };
}

/** @throws DeviceError if rows of compact weights are too long for a thread's scratch memory. */
export function uploadLinear({ weight, bias }: LinearWeights, engine: Engine): SimdLinear {
  const [N, K] = weight.shape;
  const common = { bias: bias ? engine.upload(bias.data) : 0, N };
  if (!(weight instanceof CompactTensor)) {
    return { ...common, weight: engine.upload(weight.data), dtype: 'f32', scales: 0 };
  }
  const { dtype, codes, scales } = weight;
  const max = maxRow(dtype);
  if (K > max) throw new DeviceError(`simd: rows of ${K} ${dtype} weights exceed its limit of ${max}`);
  return { ...common, weight: engine.upload(codes), dtype, scales: engine.upload(scales) };
}

/**
 * The maximum length of a row of `dtype` weights. A thread's scratch memory must hold one token: as float32 numbers or, for
 * integer weights, as groups of 16-bit integers with a float32 scale each.
 */
export function maxRow(dtype: CompactDtype): number {
  if (dtype === 'bf16' || dtype === 'f16') return SCRATCH_BYTES / 4;
  const group = GROUP[dtype];
  return group * Math.floor(SCRATCH_BYTES / (2 * group + 4));
}

export function uploadLayerNorm({ weight, bias }: LayerNormWeights, eps: number, engine: Engine): SimdLayerNorm {
  return { weight: engine.upload(weight.data), bias: bias ? engine.upload(bias.data) : 0, eps };
}

/** Positions that the rotary tables cover at first. */
const FIRST_POSITIONS = 1024;

/** Tables of at least `positions` positions, in place of earlier ones: they grow with use, not with block_size. */
export function uploadRopeTables(
  { dModel: C, nHead: H, ropeTheta, ropePairing }: ModelConfig,
  engine: Engine,
  positions: number,
): SimdRopeTables {
  const { cos, sin } = ropeTables(C / H, ropeTheta, 0, positions);
  function put(name: string, values: Float64Array): number {
    const address = engine.place(name, 4 * values.length);
    engine.memory.floats(address, values.length).set(values);
    return address;
  }
  return { cos: put('cos', cos), sin: put('sin', sin), positions, H, interleaved: ropePairing === 'interleaved' };
}

/** The rotary tables of a model, grown if they cover fewer than `positions`. */
export function ropeTablesFor(model: SimdModel, positions: number): SimdRopeTables {
  const { config, engine, tables } = model;
  if (tables.positions < positions) {
    const wanted = Math.max(positions, 2 * tables.positions);
    model.tables = uploadRopeTables(config, engine, Math.min(wanted, config.blockSize));
  }
  return model.tables;
}
