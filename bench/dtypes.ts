/**
 * Measures what fewer bits cost: the distance of the logits from those of float32 weights, and the perplexity of a text.
 *
 *     npm run bench:dtypes
 *
 * The demo reads questions and answers from its training and is asked for 193 capitals. The full-size model has weights
 * made from hashes: its perplexity means nothing, but it shows how errors grow through 16 layers.
 */
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import countries from 'world-countries';
import { withSession, openWeightsHome } from '../src/backend.js';
import { loadModel } from '../src/checkpoint/loadModel.js';
import { progressBar, table } from '../src/cli/output.js';
import { DTYPES } from '../reference/lib/compactTensor.js';
import { askPrompt } from '../src/languageModel.js';
import { demoFolder, load } from '../src/load.js';
import { mean, perplexity } from '../src/perplexity.js';
import { readGolden } from '../src/verify/readGolden.js';
import { CHECKPOINT } from './setup.js';

new Command('bench:dtypes').description('Measure what weights in fewer bits cost.').parse();

const root = fileURLToPath(new URL('..', import.meta.url));
const members = countries.filter(({ unMember, cca3 }) => unMember && cca3 !== 'VAT');
const capitalOf = (name: string, capital: string): string =>
  `${askPrompt(`What is the capital of ${name}?`)} ${capital}`;

interface Cost {
  distance: number;
  surprise: number;
}

/** Measures one model with each dtype: the distance of all logits from those of the first, and the mean surprise. */
async function costs(folder: string, ids: readonly number[]): Promise<Cost[]> {
  const found: Cost[] = [];
  let exact: Float32Array | null = null;
  const show = progressBar(folder, String);
  for (const [i, dtype] of DTYPES.entries()) {
    const { model } = await loadModel(folder, { dtype, home: await openWeightsHome('simd') });
    found.push(
      await withSession(model, 'simd', async (session) => {
        const { data } = await session.forward(ids.slice(0, 64), { logits: 'all' });
        exact ??= data;
        const lost = data.reduce((sum, x, j) => sum + (x - exact![j]) ** 2, 0);
        const whole = exact.reduce((sum, x) => sum + x * x, 0);
        const { surprises } = await perplexity(session, model.config, ids);
        return { distance: Math.sqrt(lost / whole), surprise: mean(surprises) };
      }),
    );
    show(i + 1, DTYPES.length);
  }
  return found;
}

async function capitalsKnown(dtype: (typeof DTYPES)[number]): Promise<number> {
  const demo = await load(undefined, { dtype, backend: 'simd' });
  let known = 0;
  const show = progressBar(`capitals, ${dtype}`, String);
  for (const [i, { name, capital }] of members.entries()) {
    let answer = '';
    const prompt = askPrompt(`What is the capital of ${name.common}?`);
    for await (const piece of demo.generate(prompt)) answer += piece;
    if (answer.trim() === capital[0].replaceAll('\u02bb', "'")) known++;
    show(i + 1, members.length);
  }
  await demo.dispose();
  return known;
}

const demo = await load(undefined, { backend: 'reference' });
const text = members.map(({ name, capital }) => `${capitalOf(name.common, capital[0])}</s>`).join('');
const ofDemo = await costs(demoFolder(), demo.tokenizer.encode(text));
const { tokens } = (await readGolden(`${root}golden/full/model_64_float.safetensors`)).header;
const ofFull = await costs(
  CHECKPOINT,
  Array.from({ length: 512 }, (_, i) => (i < tokens.length ? tokens[i] : (i * 7919) % 65536)),
);
const rows: string[][] = [];
for (const [i, dtype] of DTYPES.entries()) {
  rows.push([
    dtype,
    ofDemo[i].distance.toExponential(1),
    Math.exp(ofDemo[i].surprise).toFixed(4),
    `${await capitalsKnown(dtype)} of ${members.length}`,
    ofFull[i].distance.toExponential(1),
    `${(ofFull[i].surprise - ofFull[0].surprise).toFixed(4)} nats`,
  ]);
}
console.log(
  table([
    ['', 'demo: logits off', 'perplexity', 'capitals', 'full size: logits off', 'surprise, more than f32'],
    ...rows,
  ]),
);
