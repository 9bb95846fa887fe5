import type { ModelConfig } from '../../reference/lib/config.js';
import type { Choices } from './variants.js';

/** Where a hypothesis holds: everywhere, or in the one place with this name. */
export interface Place {
  everywhere: boolean;
  name: string;
}

/** One way in which the recorded model may differ from ours. */
export interface Hypothesis {
  /** Hypotheses of one kind exclude each other. */
  kind: string;
  /** The ops that it changes. */
  ops: readonly string[];
  choices: Choices;
  /** Says what the recorded model does. */
  words: (place: Place) => string;
  /** The same as a change of the configuration, if it holds everywhere. */
  change?: Partial<ModelConfig>;
  /** The only activations that it concerns, always together. */
  roles?: readonly string[];
  /** Whether it may hold for one role alone, such as q but not k. */
  perRole?: boolean;
}

const ROPE = ['rope'];
const SCORES = ['softmax', 'attention'];
const HEADS = ['rope', 'softmax', 'attention'];
const NORM = ['layerNorm'];
const WEIGHTS = ['linear', 'lmHead'];

function of({ everywhere, name }: Place): string {
  return everywhere ? '' : ` of ${name}`;
}

function within({ everywhere, name }: Place): string {
  return everywhere ? '' : ` in ${name}`;
}

function rotary(
  kind: string,
  choices: Choices,
  words: (of: string) => string,
  change?: Partial<ModelConfig>,
): Hypothesis {
  return { kind, ops: ROPE, choices, words: (place) => words(of(place)), perRole: true, ...(change && { change }) };
}

function scores(kind: string, choices: Choices, words: string): Hypothesis {
  return { kind, ops: SCORES, choices, words: (place) => `${words}${within(place)}` };
}

function norm(choices: Choices, words: string): Hypothesis {
  return { kind: 'norm', ops: NORM, choices, words: ({ name }) => `${name} ${words}`, perRole: true };
}

function weights(kind: string, choices: Choices, words: (name: string) => string, roles?: string[]): Hypothesis {
  return {
    ...{ kind, ops: WEIGHTS, choices, words: ({ name }) => words(name), perRole: roles === undefined },
    ...(roles && { roles }),
  };
}

/** Everything that is tried, the commonest first. */
export const HYPOTHESES: readonly Hypothesis[] = [
  ...(['half', 'interleaved'] as const).map((pairing) =>
    rotary('pairing', { pairing }, (of) => `the rotation${of} has rope_pairing: ${pairing}`, { ropePairing: pairing }),
  ),
  rotary('direction', { rotation: 'backward' }, (of) => `the rotation${of} turns the other way (−sin)`),
  rotary('direction', { rotation: 'none' }, (of) => `the rotation${of} is left out`),
  rotary('start', { start: 1 }, (of) => `the positions of the rotation${of} start at 1 instead of 0`),
  rotary('start', { start: -1 }, (of) => `the positions of the rotation${of} start at −1 instead of 0`),
  ...[1000, 10000, 100000, 500000, 1000000].map((theta) =>
    rotary('theta', { theta }, (of) => `the rotation${of} has rope_theta: ${theta}`, { ropeTheta: theta }),
  ),
  scores('scale', { divisor: '1' }, 'the scores are not scaled (1/√D is missing)'),
  scores('scale', { divisor: 'D' }, 'the scores are divided by D instead of √D'),
  scores('scale', { divisor: '√C' }, 'the scores are divided by √C instead of √D'),
  scores('mask', { mask: 'next' }, 'the mask is off by one: each token sees the next one'),
  scores('mask', { mask: 'itself' }, 'the mask is off by one: each token is hidden from itself'),
  scores('mask', { mask: 'none' }, 'the causal mask is missing'),
  scores('mask', { mask: 'zero' }, 'the mask sets scores to 0 instead of −∞'),
  scores('mask', { mask: 'late' }, 'the mask is applied after the softmax'),
  ...(
    [
      ['interleaved', 'the heads are interleaved: split as [T, D, H] instead of [T, H, D]'],
      ['reversed', 'the heads are in reverse order'],
      ['joined without transposing', 'the heads are joined without transposing them back'],
      ['split without transposing', 'the heads are split without transposing: viewed as [H, T, D]'],
    ] as const
  ).map(([heads, words]) => ({
    ...{ kind: 'heads', ops: HEADS, choices: { heads }, words: (place: Place) => `${words}${within(place)}` },
  })),
  ...(['none', 'tanh'] as const).map((activation) => ({
    ...{ kind: 'activation', ops: ['gelu'], choices: { activation }, change: { geluApproximate: activation } },
    words: (place: Place) => `the activation function${within(place)} has gelu_approximate: ${activation}`,
  })),
  ...(
    [
      ['quick', 'GELU in its quick form, x · sigmoid(1.702 x)'],
      ['relu', 'ReLU'],
      ['silu', 'SiLU, x · sigmoid(x)'],
    ] as const
  ).map(([activation, name]) => ({
    ...{ kind: 'activation', ops: ['gelu'], choices: { activation } },
    words: (place: Place) => `the activation function${within(place)} is ${name}`,
  })),
  ...(['pre', 'post'] as const).map((normPosition) => ({
    ...{ kind: 'norm position', ops: [], choices: {}, change: { normPosition } },
    words: () => `the norms have norm_position: ${normPosition}`,
  })),
  ...[1e-3, 1e-5, 1e-6, 1e-8, 1e-12, 0].map((eps) => ({
    ...norm({ eps }, `has layer_norm_eps: ${eps}`),
    ...{ kind: 'eps', change: { layerNormEps: eps } },
  })),
  norm({ norm: 'rms' }, 'does not subtract the mean (RMSNorm)'),
  norm({ norm: 'unbiased' }, 'divides the variance by C − 1 instead of C'),
  norm({ norm: 'eps outside' }, 'adds eps to the deviation instead of the variance'),
  norm({ norm: 'none' }, 'is left out'),
  norm({ norm: 'unscaled' }, 'does not multiply by its weight'),
  { ...norm({ bias: 'none' }, 'does not add its bias'), kind: 'bias' },
  {
    ...norm({ weightsOf: { attn_norm: 'ffn_norm', ffn_norm: 'attn_norm' } }, ''),
    ...{ kind: 'swap', roles: ['attn_norm', 'ffn_norm'], perRole: false },
    words: (place) => `input_layernorm and post_attention_layernorm are swapped${within(place)}`,
  },
  weights('bias', { bias: 'none' }, (name) => `${name} does not add its bias`),
  ...['qk', 'qv', 'kv'].map(([a, b]) =>
    weights('swap', { weightsOf: { [a]: b, [b]: a } }, () => `${a}_proj and ${b}_proj are swapped`, [a, b]),
  ),
  weights('swap', { fused: 'per head' }, () => 'the fused q, k, v are split per head, [H, 3, D]', ['q', 'k', 'v']),
  weights('transposed', { transposed: true }, (name) => `the weight of ${name} is transposed`),
  ...(
    [
      ['bf16', 'bfloat16'],
      ['f16', 'float16'],
      ['int8 rows', 'int8 with a scale per row'],
      ['int8 tensor', 'int8 with one scale'],
      ['int8 groups', 'int8 with a scale per 64 weights'],
    ] as const
  ).map(([rounded, name]) =>
    weights('rounded', { rounded }, (where) => `the weight of ${where} is rounded to ${name}`),
  ),
  {
    ...{ kind: 'rounded', ops: ['embedding'], choices: { rounded: 'bf16' } },
    words: () => 'the embedding table is rounded to bfloat16',
  },
  {
    ...{ kind: 'rounded', ops: ['embedding'], choices: { rounded: 'f16' } },
    words: () => 'the embedding table is rounded to float16',
  },
  {
    ...{ kind: 'expand', ops: ['repeatInterleave'], choices: { expand: 'tile' } },
    words: () => 'the codes are tiled (repeat) instead of repeated element by element (repeat_interleave)',
  },
  ...(
    [
      ['branch', 'leaves out the residual stream'],
      ['stream', 'leaves out the result of the sublayer'],
      ['normed', 'adds the normalized input instead of the residual stream'],
    ] as const
  ).map(([residual, words]) => ({
    ...{ kind: 'residual', ops: ['add'], choices: { residual }, perRole: true },
    words: ({ name }: Place) => `${name} ${words}`,
  })),
];
