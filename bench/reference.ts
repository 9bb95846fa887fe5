/** How fast the reference runs Model_64_FLOAT, with weights made from hashes:  npm run bench:reference */
import { forward, KvCache } from '../reference/index.js';
import { syntheticModel } from '../src/checkpoint/synthetic.js';
import { PRESETS } from '../src/config.js';

const PROMPT = 32;
const STEPS = 16;

const model = syntheticModel(PRESETS.model_64_float, 1);
const cache = new KvCache(model.config);
const prompt = Array.from({ length: PROMPT }, (_, i) => i);
const begun = performance.now();
forward(prompt, model, { cache, logits: 'last' });
const prefill = performance.now() - begun;

const times: number[] = [];
for (let n = 0; n < STEPS; n++) {
  const start = performance.now();
  forward([n], model, { cache, logits: 'last' });
  times.push(performance.now() - start);
}
const median = times.sort((a, b) => a - b)[STEPS >> 1];
console.log(`prefill of ${PROMPT} tokens: ${((1000 * PROMPT) / prefill).toFixed(2)} tokens/s`);
console.log(`decode: ${median.toFixed(0)} ms a token, ${(1000 / median).toFixed(2)} tokens/s (median of ${STEPS})`);
console.log(`peak memory: ${(process.resourceUsage().maxRSS / 1e6).toFixed(2)} GB`);
