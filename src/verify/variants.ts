import { attention } from '../../reference/attention.js';
import { gelu } from '../../reference/gelu.js';
import { layerNorm } from '../../reference/layerNorm.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { packTensor } from '../../reference/lib/pack.js';
import { tensor, type Float32Tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights } from '../../reference/lib/weights.js';
import { rope, ropeTables } from '../../reference/rope.js';
import { softmaxInPlace } from '../../reference/softmax.js';

/** Deviations of one op. A missing key means what the model's configuration says. */
export interface Choices {
  rotation?: 'backward' | 'none';
  pairing?: ModelConfig['ropePairing'];
  theta?: number;
  start?: number;
  heads?: 'interleaved' | 'reversed' | 'joined without transposing' | 'split without transposing';
  /** What divides the scores, instead of √D. */
  divisor?: '1' | 'D' | '√C';
  mask?: 'next' | 'itself' | 'none' | 'zero' | 'late';
  eps?: number;
  norm?: 'rms' | 'unbiased' | 'eps outside' | 'none' | 'unscaled';
  bias?: 'none';
  activation?: 'none' | 'tanh' | 'quick' | 'relu' | 'silu';
  expand?: 'tile';
  /** The only term of a residual sum that is kept. */
  residual?: 'branch' | 'stream' | 'normed';
  /** The activation whose weights are used instead: `k` for the weights of k_proj. */
  weightsOf?: Readonly<Record<string, string>>;
  fused?: 'per head';
  transposed?: true;
  rounded?: 'bf16' | 'f16' | 'int8 rows' | 'int8 tensor' | 'int8 groups';
}

/** The rotation of queries or keys. */
export function rotateVariant(x: Tensor, config: ModelConfig, choices: Choices): Tensor {
  if (choices.rotation === 'none') return x;
  const { nHead: H, dModel: C } = config;
  const T = x.shape[0];
  const { cos, sin } = ropeTables(C / H, choices.theta ?? config.ropeTheta, choices.start ?? 0, T);
  const tables = { cos, sin: choices.rotation === 'backward' ? sin.map((value) => -value) : sin };
  const order = splitOrder(choices, H, T, C);
  return scatter(rope(gather(x, order), H, tables, choices.pairing ?? config.ropePairing), order);
}

/** The attention weights [H, T, T] of rotated queries and keys. */
export function attentionWeightsVariant(q: Tensor, k: Tensor, H: number, choices: Choices): Tensor {
  const [T, C] = q.shape;
  const D = C / H;
  const order = splitOrder(choices, H, T, C);
  const [queries, keys] = [gather(q, order), gather(k, order)];
  const divisor =
    choices.divisor === '1' ? 1 : choices.divisor === 'D' ? D : Math.sqrt(choices.divisor === '√C' ? C : D);
  const weights = tensor([H, T, T]);
  const row = new Float64Array(T);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      const visible = visibleTo(t, T, choices.mask);
      for (let s = 0; s < T; s++) {
        let dot = 0;
        for (let d = 0; d < D; d++) dot += queries.data[t * C + h * D + d] * keys.data[s * C + h * D + d];
        row[s] = dot / divisor;
      }
      if (choices.mask === 'zero') row.fill(0, visible);
      const isMaskedLater = choices.mask === 'zero' || choices.mask === 'late';
      softmaxInPlace(row, isMaskedLater ? T : visible);
      weights.data.set(row.subarray(0, choices.mask === 'zero' ? T : visible), (h * T + t) * T);
    }
  }
  return weights;
}

/** How many positions a query sees. A mask that hides the token itself must leave the first token something. */
function visibleTo(t: number, T: number, mask: Choices['mask']): number {
  if (mask === 'none') return T;
  if (mask === 'next') return Math.min(T, t + 2);
  if (mask === 'itself') return Math.max(1, t);
  return t + 1;
}

/** The values of each head, averaged by attention weights [H, T, T]. */
export function mixVariant(weights: Tensor, v: Tensor, choices: Choices): Tensor {
  const [T, C] = v.shape;
  const H = weights.shape[0];
  const D = C / H;
  const order = splitOrder(choices, H, T, C);
  const values = gather(v, order);
  const y = tensor([T, C]);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) {
        let sum = 0;
        for (let s = 0; s < T; s++) sum += weights.data[(h * T + t) * T + s] * values.data[s * C + h * D + d];
        y.data[t * C + h * D + d] = sum;
      }
    }
  }
  if (choices.heads === 'joined without transposing') return gather(y, joinOrder(H, T, C));
  // Such a split is usually joined with a transpose, so only the columns of the other splits go back.
  return choices.heads === 'split without transposing' ? y : scatter(y, order);
}

/** Attention from rotated queries and keys: the reference's, or a variant of it. */
export function attentionVariant(q: Tensor, k: Tensor, v: Tensor, H: number, choices: Choices): Tensor {
  if (choices.mask === undefined && choices.divisor === undefined && choices.heads === undefined) {
    return attention(q, k, v, H);
  }
  return mixVariant(attentionWeightsVariant(q, k, H, choices), v, choices);
}

/** For each element of heads side by side, [T, H · D], where a split of the heads takes it from; null for the usual split. */
function splitOrder({ heads }: Choices, H: number, T: number, C: number): Int32Array | null {
  const D = C / H;
  if (heads === undefined || heads === 'joined without transposing') return null;
  return Int32Array.from({ length: T * C }, (_, i) => {
    const [t, h, d] = [Math.floor(i / C), Math.floor((i % C) / D), i % D];
    if (heads === 'interleaved') return t * C + d * H + h;
    if (heads === 'reversed') return t * C + (H - 1 - h) * D + d;
    return (h * T + t) * D + d;
  });
}

/** Where a join that forgets to transpose takes each element from. */
function joinOrder(H: number, T: number, C: number): Int32Array {
  const D = C / H;
  return Int32Array.from({ length: T * C }, (_, i) => {
    const [h, t, d] = [Math.floor(i / (T * D)), Math.floor(i / D) % T, i % D];
    return t * C + h * D + d;
  });
}

function gather(x: Tensor, order: Int32Array | null): Tensor {
  return order
    ? tensor(
        x.shape,
        Float32Array.from(order, (at) => x.data[at]),
      )
    : x;
}

function scatter(x: Tensor, order: Int32Array | null): Tensor {
  if (!order) return x;
  const y = tensor(x.shape);
  order.forEach((at, i) => (y.data[at] = x.data[i]));
  return y;
}

/** A norm with another ε, or of another kind. */
export function layerNormVariant(x: Tensor, norm: LayerNormWeights, eps: number, choices: Choices): Tensor {
  if (choices.norm === 'none') return x;
  const bias = choices.bias === 'none' ? null : norm.bias;
  const C = x.shape[1];
  const weight = choices.norm === 'unscaled' ? tensor([C], new Float32Array(C).fill(1)) : norm.weight;
  const epsilon = choices.eps ?? eps;
  if (choices.norm === undefined || choices.norm === 'unscaled') return layerNorm(x, { weight, bias }, epsilon);
  const y = tensor(x.shape);
  for (let start = 0; start < x.data.length; start += C) {
    const row = [...x.data.subarray(start, start + C)];
    const mean = choices.norm === 'rms' ? 0 : row.reduce((sum, value) => sum + value, 0) / C;
    const squares = row.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const variance = squares / (choices.norm === 'unbiased' ? C - 1 : C);
    const deviation = choices.norm === 'eps outside' ? Math.sqrt(variance) + epsilon : Math.sqrt(variance + epsilon);
    row.forEach(
      (value, c) => (y.data[start + c] = ((value - mean) / deviation) * weight.data[c] + (bias?.data[c] ?? 0)),
    );
  }
  return y;
}

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  quick: (x) => x / (1 + Math.exp(-1.702 * x)),
  relu: (x) => Math.max(0, x),
  silu: (x) => x / (1 + Math.exp(-x)),
};

/** GELU in one of its forms, or another activation function. */
export function activationVariant(x: Tensor, form: NonNullable<Choices['activation']>): Tensor {
  return form === 'none' || form === 'tanh' ? gelu(x, form) : tensor(x.shape, x.data.map(ACTIVATIONS[form]));
}

/** Repeats whole rows, E1 E2 E1 E2, instead of each element. */
export function tile(x: Tensor, repeats: number): Tensor {
  const [T, E] = x.shape;
  const width = E * repeats;
  return tensor(
    [T, width],
    new Float32Array(T * width).map((_, i) => x.data[Math.floor(i / width) * E + (i % E)]),
  );
}

/** The weights of a linear layer under the choices that concern weights alone. */
export function linearVariant({ weight, bias }: LinearWeights, choices: Choices): LinearWeights {
  let matrix = weight;
  if (choices.transposed && weight.shape[0] === weight.shape[1]) matrix = transpose(matrix);
  if (choices.rounded) matrix = round(matrix, choices.rounded);
  return { weight: matrix, bias: choices.bias === 'none' ? null : bias };
}

function transpose({ data, shape: [N, K] }: Float32Tensor): Float32Tensor {
  return tensor(
    [K, N],
    new Float32Array(N * K).map((_, i) => data[(i % N) * K + Math.floor(i / N)]),
  );
}

/** The nearest weights in fewer bits. int8 has one scale per row, as most PyTorch code, or per tensor, or per group, as here. */
export function round(weight: Float32Tensor, to: NonNullable<Choices['rounded']>): Float32Tensor {
  if (to === 'bf16' || to === 'f16') return tensor(weight.shape, packTensor(weight, to).data);
  if (to === 'int8 groups') return tensor(weight.shape, packTensor(weight, 'int8').data);
  const size = to === 'int8 rows' ? weight.shape[1] : weight.data.length;
  const rounded = new Float32Array(weight.data.length);
  for (let start = 0; start < rounded.length; start += size) {
    const group = weight.data.subarray(start, start + size);
    const scale = Math.fround(group.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    group.forEach(
      (value, i) => (rounded[start + i] = scale === 0 ? 0 : nearestEven(Math.fround(value / scale)) * scale),
    );
  }
  return tensor(weight.shape, rounded);
}

/** Rounds halves to the even integer, as PyTorch does. */
function nearestEven(x: number): number {
  const down = Math.floor(x);
  const isHalf = x - down === 0.5;
  return isHalf ? down + Math.abs(down % 2) : Math.round(x);
}

/** The part of a fused qkv layer that a split per head, [H, 3, D], takes for q, k or v. */
export function fusedPerHead(layers: readonly LinearWeights[], part: number, H: number): LinearWeights {
  const [C, K] = layers[0].weight.shape;
  const D = C / H;
  const weight = tensor([C, K]);
  const hasBias = layers.every(({ bias }) => bias !== null);
  const bias = hasBias ? tensor([C]) : null;
  for (let n = 0; n < C; n++) {
    const row = (Math.floor(n / D) * 3 + part) * D + (n % D);
    const from = layers[Math.floor(row / C)];
    weight.data.set(from.weight.data.subarray((row % C) * K, ((row % C) + 1) * K), n * K);
    if (bias) bias.data[n] = from.bias!.data[row % C];
  }
  return { weight, bias };
}
