/* global performance, process, URL */
/**
 * Times onnxruntime on the model that model.py exports, and writes the logits after the plan's tokens:
 *
 *     node ort.mjs node|web MODEL.onnx PLAN THREADS LOGITS
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [which, file, planText, threadsText, logitsFile] = process.argv.slice(2);
const [plan, threads] = [JSON.parse(planText), Number(threadsText)];
const [L, H, D, V] = [16, 32, 32, 65536];
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const begun = performance.now();
const name = `onnxruntime-${which}`;
const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8'));
const ort = which === 'node' ? createRequire(import.meta.url)(name) : await import(name);
let session;
if (which === 'node') {
  session = await ort.InferenceSession.create(file, { intraOpNumThreads: threads });
} else {
  ort.env.wasm.numThreads = threads;
  session = await ort.InferenceSession.create(new Uint8Array(readFileSync(file)), { executionProviders: ['wasm'] });
}
const loaded = performance.now();

const empty = () => Array.from({ length: 2 * L }, () => new ort.Tensor('float32', new Float32Array(0), [1, H, 0, D]));

function feeds(ids, past, held) {
  const T = ids.length;
  const [cos, sin] = [new Float32Array((T * D) / 2), new Float32Array((T * D) / 2)];
  const mask = new Float32Array(T * (past + T));
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < D / 2; i++) {
      const angle = Math.fround((past + t) * Math.fround(1 / 10000 ** ((2 * i) / D)));
      cos[(t * D) / 2 + i] = Math.cos(angle);
      sin[(t * D) / 2 + i] = Math.sin(angle);
    }
    mask.fill(-Infinity, t * (past + T) + past + t + 1, (t + 1) * (past + T));
  }
  return {
    ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, T]),
    cos: new ort.Tensor('float32', cos, [T, D / 2]),
    sin: new ort.Tensor('float32', sin, [T, D / 2]),
    mask: new ort.Tensor('float32', mask, [1, 1, T, past + T]),
    ...Object.fromEntries(held.map((x, j) => [`p${j}`, x])),
  };
}

async function timed(inputs) {
  const start = performance.now();
  await session.run(inputs);
  return performance.now() - start;
}

await session.run(feeds([1], 0, empty()));
const first = performance.now();
const { logits } = await session.run(feeds(plan.tokens, 0, empty()));
writeFileSync(logitsFile, new Uint8Array(logits.data.buffer, logits.data.byteOffset, logits.data.byteLength));

const result = { version, load_ms: loaded - begun, first_token_ms: first, prefill_tok_s: {}, decode_ms: {} };
for (const length of [...new Set([...plan.prefill, ...plan.decode])].sort((a, b) => a - b)) {
  const prompt = feeds(
    Array.from({ length }, (_, i) => (i * 7919) % V),
    0,
    empty(),
  );
  if (plan.prefill.includes(length)) {
    const times = [];
    for (let i = 0; i < 3; i++) times.push(await timed(prompt));
    result.prefill_tok_s[length] = (1000 * length) / median(times);
  }
  if (!plan.decode.includes(length)) continue;
  const outputs = await session.run(prompt);
  const single = feeds(
    [7],
    length,
    Array.from({ length: 2 * L }, (_, j) => outputs[`o${j}`]),
  );
  const times = [];
  for (let i = 0; i < plan.steps; i++) times.push(await timed(single));
  result.decode_ms[length] = median(times);
}
result.peak_rss_mb = process.resourceUsage().maxRSS / 1e3;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0); // onnxruntime-web's threads would keep the process alive
