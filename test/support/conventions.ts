import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ModelConfig } from '../../reference/lib/config.js';
import type { Model } from '../../reference/lib/weights.js';
import { openSession } from '../../src/backend.js';
import { calibrate } from '../../src/calibrate.js';
import { loadModel } from '../../src/checkpoint/loadModel.js';
import { generateIds } from '../../src/generate.js';
import { demoFolder } from '../../src/load.js';
import { loadTokenizer } from '../../src/tokenizer/loadTokenizer.js';
import { tinyModel } from './arbitraries.js';

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

/** Text that a model with given conventions wrote itself: nobody predicts it better. */
async function ownText(model: Model, seeds: number): Promise<number[]> {
  const ids: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const session = await openSession(model, 'reference');
    const options = { maxNewTokens: model.config.blockSize - 1, temperature: 1, seed };
    ids.push(seed % model.config.vocabSize);
    for await (const id of generateIds(session, model.config, [ids[ids.length - 1]], options)) ids.push(id);
  }
  return ids;
}

export function recognizesOwnText(conventions: [ModelConfig['ropePairing'], ModelConfig['normPosition']][]): void {
  for (const [ropePairing, normPosition] of conventions) {
    it(`recognizes ${ropePairing} pairing and ${normPosition} norms from the text of a model that has them`, async () => {
      const model = tinyModel({ ropePairing, normPosition });
      const text = await ownText(model, 120);
      // the model is given with the wrong conventions, as a checkpoint with default ones would be
      const mistaken = { ...model, config: { ...model.config, ropePairing: 'half', normPosition: 'pre' } as const };
      const { trials, verdicts } = await calibrate(mistaken, text);
      const best = trials[0].convention;
      assert.deepEqual([best.ropePairing, best.normPosition], [ropePairing, normPosition]);
      for (const { key, clear } of verdicts) {
        if (key === 'ropePairing' || key === 'normPosition') assert.ok(clear, key);
      }
      assert.equal(trials.length, 10);
      assert.ok(trials.every((trial, i) => i === 0 || trial.perplexity >= trials[i - 1].perplexity));
    });
  }
}
