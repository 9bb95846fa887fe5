/* global performance, process, URL */
/**
 * Times llama.cpp, by node-llama-cpp's prebuilt binary, on a GGUF file, and writes the log-probabilities after the plan's
 * tokens, which are its logits but for a constant. The head's bias, which GGUF cannot hold, is not in them:
 *
 *     node llama.mjs MODEL.gguf PLAN THREADS LOGITS
 *
 * A token's time includes greedy sampling, the way through JavaScript, and nothing else.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getLlama } from 'node-llama-cpp';

const [file, planText, threadsText, logitsFile] = process.argv.slice(2);
const [plan, threads] = [JSON.parse(planText), Number(threadsText)];
const V = 65536;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const begun = performance.now();
const { version } = JSON.parse(
  readFileSync(new URL('node_modules/node-llama-cpp/package.json', import.meta.url), 'utf8'),
);
const quiet = { progressLogs: false, logLevel: 'error' };
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, ...quiet });
const model = await llama.loadModel({ modelPath: file, useMmap: true });
const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads });
const sequence = context.getSequence();
const loaded = performance.now();

/** Evaluates tokens and returns an iterator over greedy ones. */
async function started(ids) {
  await sequence.clearHistory();
  const tokens = sequence.evaluate(ids, { temperature: 0 });
  await tokens.next();
  return tokens;
}

await (await started([1])).return();
const first = performance.now();

await sequence.clearHistory();
const everything = { probabilities: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } };
const outputs = await sequence.controlledEvaluate([
  ...plan.tokens.slice(0, -1),
  [plan.tokens.at(-1), { generateNext: everything }],
]);
const logits = new Float32Array(V).fill(-Infinity);
for (const [id, p] of outputs[plan.tokens.length - 1].next.probabilities) logits[id] = Math.log(p);
writeFileSync(logitsFile, new Uint8Array(logits.buffer));

const result = { version, load_ms: loaded - begun, first_token_ms: first, prefill_tok_s: {}, decode_ms: {} };
for (const length of [...new Set([...plan.prefill, ...plan.decode])].sort((a, b) => a - b)) {
  const prompt = Array.from({ length }, (_, i) => (i * 7919) % V);
  if (plan.prefill.includes(length)) {
    const times = [];
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      const tokens = await started(prompt);
      times.push(performance.now() - start);
      await tokens.return();
    }
    result.prefill_tok_s[length] = (1000 * length) / median(times);
  }
  if (!plan.decode.includes(length)) continue;
  const tokens = await started(prompt);
  const times = [];
  for (let i = 0; i < plan.steps; i++) {
    const start = performance.now();
    const { done } = await tokens.next();
    if (done) break;
    times.push(performance.now() - start);
  }
  await tokens.return();
  result.decode_ms[length] = median(times);
}
result.peak_rss_mb = process.resourceUsage().maxRSS / 1e3;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
