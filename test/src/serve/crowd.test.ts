import assert from 'node:assert/strict';
import { complete, demoHandler, JAPAN, type Answer } from './support.js';

/** Prompts of different lengths and beginnings, greedy and sampled. */
const BODIES = Array.from({ length: 32 }, (_, i) => ({
  prompt: [JAPAN, 'Question: What is the', 'Question:', `Question: Which languages are spoken in ${i}`][i % 4],
  temperature: i % 3 === 0 ? 0 : 1,
  seed: i,
  logprobs: 5,
  echo: i % 2 === 0,
  max_tokens: 5 + (i % 7) * 6,
  ignore_eos: i % 5 > 0,
  stop: i % 6 === 0 ? ['\n'] : null,
}));

describe('a crowd', () => {
  it('4, 22: 32 concurrent requests get the same bits and texts as one at a time', async () => {
    const alone = await demoHandler();
    const expected: Answer[] = [];
    for (const body of BODIES) expected.push(await complete(alone, body));
    alone.close();
    for (const maxSequences of [32, 5]) {
      const crowd = await demoHandler({ maxSequences });
      const answers = await Promise.all(BODIES.map((body) => complete(crowd, body)));
      answers.forEach((answer, i) => {
        assert.deepEqual(answer.choices, expected[i].choices, `request ${i}`);
        assert.equal(answer.usage.total_tokens, expected[i].usage.total_tokens);
      });
      assert.equal(crowd.stats?.active, 0);
      crowd.close();
    }
  });
});
