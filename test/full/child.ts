/** Verifies one full-size synthetic model and prints what came of it as JSON:  tsx test/full/child.ts GOLDEN_FILE BACKEND */
import { forward } from '../../reference/index.js';
import type { Session } from '../../src/backend.js';
import type { Model } from '../../reference/lib/weights.js';
import { syntheticModel } from '../../src/checkpoint/synthetic.js';
import { PRESETS } from '../../src/checkpoint/config.js';
import { readGolden } from '../../src/verify/readGolden.js';
import { summarize } from '../../src/verify/report.js';
import { verify } from '../../src/verify/verify.js';
import { stubSession } from '../support/stubSession.js';

export interface Result {
  ok: boolean;
  summary: string;
  activations: number;
  /** Of the logits from the truth, relative L2: ours and PyTorch float32's. */
  distance: number;
  pytorch: number;
  /** The largest share of a bound, and whose. */
  share: number;
  shareIn: string;
  making_s: number;
  running_s: number;
  peak_gb: number;
}

/** The reference with float64 between ops. */
function float64(it: Model): Promise<Session> {
  return Promise.resolve(
    stubSession((ids, options) => {
      const { data, shape } = forward(ids, it, { ...options, precision: 'float64' });
      return Promise.resolve({ data: Float32Array.from(data), shape });
    }, true),
  );
}

const golden = await readGolden(process.argv[2]);
const { preset, seed } = golden.header.synthetic!;
const begun = performance.now();
const model = syntheticModel(PRESETS[preset], seed);
const made = performance.now();
const backend = process.argv[3];
const report = await (backend === 'float64'
  ? verify(model, golden, 'reference', float64)
  : verify(model, golden, backend));
const logits = report.rows.at(-1)!;
const result: Result = {
  ok: report.first === null,
  summary: summarize(report, null),
  activations: report.rows.length,
  distance: logits.difference!.relativeL2,
  pytorch: golden.header.float32_distance!.logits,
  share: report.worst.row.share,
  shareIn: report.worst.row.name,
  making_s: (made - begun) / 1000,
  running_s: (performance.now() - made) / 1000,
  peak_gb: process.resourceUsage().maxRSS / 1e6,
};
console.log(JSON.stringify(result));
