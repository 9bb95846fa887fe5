/**
 * Times the choice of one token among 65,536, beside the sampler that sorted the whole vocabulary.
 *
 *     npm run bench:sampling
 *
 * The two take turns; both get the same seed and have to choose the same tokens.
 */
import { randomLogits } from '../test/support/randomLogits.js';
import { createSortingSampler } from '../test/support/sortingSampler.js';
import { median } from '../src/bench.js';
import { table } from '../src/cli/output.js';
import { createSampler, type SampleOptions } from '../src/sample.js';

const V = 65_536;
const ROUNDS = 31;
/** Standard deviations of normal logits: nearly flat, and peaked as those of a trained model. */
const SPREADS = [1, 3];

const SETTINGS: Record<string, SampleOptions> = {
  greedy: {},
  'temperature 1': { temperature: 1 },
  'top-k 40': { temperature: 1, topK: 40 },
  'top-p 0.9': { temperature: 1, topP: 0.9 },
  'top-k 40, top-p 0.9': { temperature: 1, topK: 40, topP: 0.9 },
  'top-p 0.9, penalty 1.1': { temperature: 1, topP: 0.9, repetitionPenalty: 1.1 },
};

const history = Array.from({ length: 200 }, (_, i) => (i * 7919) % V);
const rows: (string | number)[][] = [
  ['', ...SPREADS.flatMap((spread) => [`spread ${spread}: sorting, ms`, 'now, ms'])],
];
for (const [name, options] of Object.entries(SETTINGS)) {
  const row: string[] = [name];
  for (const spread of SPREADS) row.push(...timeBoth(options, spread).map((ms) => ms.toPrecision(2)));
  rows.push(row);
}
console.log(table(rows));

/** The median milliseconds a token of the old and of the new sampler. */
function timeBoth(options: SampleOptions, spread: number): [number, number] {
  const samplers = [createSortingSampler(options), createSampler(options)];
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const logits = randomLogits(V, spread, round);
    const chosen = samplers.map((sample, i) => {
      const begun = performance.now();
      const id = sample(logits, history);
      times[i].push(performance.now() - begun);
      return id;
    });
    if (chosen[0] !== chosen[1]) throw new Error(`${JSON.stringify(options)}: ${chosen.join(' is not ')}`);
  }
  return [median(times[0]), median(times[1])];
}
