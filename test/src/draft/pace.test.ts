import assert from 'node:assert/strict';
import { LookupDraft } from '../../../src/draft/lookup.js';
import { MAX_PROPOSED, Pace } from '../../../src/draft/pace.js';

/** Two drafts' costs: from the text, and from a model in fewer bits. */
const { costs: lookup, expected } = new LookupDraft();
const model = { token: 0.5, round: 0.4, missed: 0.12 };

/** Simulates a text and returns its time, in times of one token alone. `accept` says how many of n tokens are kept. */
function timeOf(costs: typeof lookup, length: number, accept: (n: number, made: number) => number): number {
  const pace = new Pace(costs, expected);
  let time = 0;
  let missed = 0;
  for (let made = 0; made < length;) {
    const n = pace.next(length - made - 1);
    time++;
    if (n === 0) {
      pace.skip();
      missed++;
      made++;
      continue;
    }
    const kept = accept(n, made);
    time += costs.round + n * costs.token + missed * costs.missed;
    missed = 0;
    pace.record(n, kept);
    made += kept + 1;
  }
  return time;
}

describe('Pace', () => {
  for (const [name, costs] of Object.entries({ lookup, model })) {
    it(`loses at most 5 % where nothing is accepted: ${name}`, () => {
      for (const length of [128, 500, 5000]) {
        const time = timeOf(costs, length, () => 0);
        assert.ok(time <= 1.05 * length, `${time} for ${length}`);
      }
    });

    it(`gains where all is accepted, and again after a stretch where nothing is: ${name}`, () => {
      assert.ok(timeOf(costs, 500, (n) => n) < 0.65 * 500);
      const changing = timeOf(costs, 1500, (n, made) => (made > 500 && made < 700 ? 0 : n));
      assert.ok(name === 'model' || changing < 0.65 * 1500, `${changing}`);
    });
  }

  it('never proposes more than there is room for', () => {
    const pace = new Pace({ token: 0, round: 0, missed: 0 }, 1);
    assert.equal(pace.next(3), 2, 'few until one has been accepted');
    assert.equal(pace.next(0), 0);
    pace.record(2, 2);
    assert.equal(pace.next(1000), MAX_PROPOSED);
  });
});
