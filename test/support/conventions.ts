import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { calibrate } from '../../src/calibrate.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { demoFolder } from '../../src/load.js';
import { loadTokenizer } from '../../src/tokenizer/loadTokenizer.js';

const folder = fileURLToPath(new URL('../../golden/conventions/', import.meta.url));

/** What was trained with each combination of conventions. */
export const TRAINED: readonly string[] = readdirSync(folder).filter((name) => name.includes('-'));

export function recognizesTrained(names: readonly string[]): void {
  describe('recognizes models that were trained briefly', () => {
    let text: number[];
    before(async () => {
      text = (await loadTokenizer(demoFolder())).encode(readFileSync(`${folder}text.txt`, 'utf8')).slice(0, 1024);
      assert.equal(TRAINED.length, 8);
    });

    for (const name of names) {
      it(name, async () => {
        const [ropePairing, geluApproximate, normPosition] = name.split('-');
        const { model, report } = await loadModel(`${folder}${name}`);
        assert.ok(report.assumedKeys.includes('rope_pairing') && report.assumedKeys.includes('norm_position'));
        const { trials, verdicts } = await calibrate(model, text);
        const best = trials[0].convention;
        console.log(
          `      ${verdicts.map((v) => `${v.key} ${v.best} by ${v.nats.toPrecision(2)} (${v.sigmas.toFixed(0)} s.e.)`).join(', ')}`,
        );
        assert.deepEqual([best.ropePairing, best.normPosition], [ropePairing, normPosition]);
        const clear = verdicts.filter((verdict) => verdict.clear).map(({ key }) => key);
        // The forms of GELU differ by 4.7e-4 at most, the usual eps by less: perplexity cannot tell, and must not say so.
        assert.deepEqual(clear, ['ropePairing', 'normPosition']);
        assert.ok(['none', 'tanh'].includes(geluApproximate));
      });
    }
  });
}
