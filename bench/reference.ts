/** How fast the reference runs Model_64_FLOAT, with random weights in memory:  npm run bench:reference */
import { forward, KvCache, type LayerNormWeights, type LinearWeights } from '../reference/index.js';
import { PRESETS } from '../src/config.js';
import { sizeOf, tensor, type Tensor } from '../src/tensor.js';

const config = PRESETS.model_64_float;
const { vocabSize: V, nEmbed: E, dModel: C, nLayer: L } = config;
const PROMPT = 32;
const STEPS = 16;

let state = 1;
function random(shape: number[]): Tensor {
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state / 2 ** 31 - 1) * 0.05;
  }
  return tensor(shape, data);
}
function linear(N: number, K: number, biased: boolean): LinearWeights {
  return { weight: random([N, K]), bias: biased ? random([N]) : null };
}
function norm(): LayerNormWeights {
  return { weight: random([C]), bias: random([C]) };
}
const weights = {
  embedding: random([V, E]),
  blocks: Array.from({ length: L }, () => ({
    attnNorm: norm(),
    qProj: linear(C, C, false),
    kProj: linear(C, C, false),
    vProj: linear(C, C, false),
    oProj: linear(C, C, false),
    ffnNorm: norm(),
    ffnUp: linear(4 * C, C, true),
    ffnDown: linear(C, 4 * C, true),
  })),
  finalNorm: norm(),
  lmHead: linear(V, C, true),
};

const cache = new KvCache(config);
const prompt = Array.from({ length: PROMPT }, (_, i) => i);
const begun = performance.now();
forward(prompt, { config, weights }, { cache, logits: 'last' });
const prefill = performance.now() - begun;

const times: number[] = [];
for (let n = 0; n < STEPS; n++) {
  const start = performance.now();
  forward([n], { config, weights }, { cache, logits: 'last' });
  times.push(performance.now() - start);
}
const median = times.sort((a, b) => a - b)[STEPS >> 1];
console.log(`prefill of ${PROMPT} tokens: ${((1000 * PROMPT) / prefill).toFixed(2)} tokens/s`);
console.log(`decode: ${median.toFixed(0)} ms a token, ${(1000 / median).toFixed(2)} tokens/s (median of ${STEPS})`);
console.log(`peak memory: ${(process.resourceUsage().maxRSS / 1e6).toFixed(2)} GB`);
