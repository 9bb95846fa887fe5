import assert from 'node:assert/strict';
import { demoFolder } from '../../../../src/load.js';
import { emergent } from '../../../support/cli.js';
import { filesOf, useHub } from '../../../support/hubSetup.js';

const QUESTION = 'What is the capital of Japan?';

// More in cli.slow.test.ts.
describe('command line with a Hub model', () => {
  const { hub } = useHub();
  before(async () => {
    hub.commit('org/demo', await filesOf(demoFolder()));
  });

  it('answers online, and offline afterwards', async () => {
    const online = await emergent(['ask', '--json', '--model', 'org/demo', QUESTION]);
    assert.deepEqual([online.code, online.stderr], [0, '']);
    assert.equal((JSON.parse(online.stdout) as { text: string }).text, 'Tokyo');
    process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
    const offline = await emergent(['ask', '--json', '--model', 'org/demo', QUESTION]);
    assert.equal((JSON.parse(offline.stdout) as { text: string }).text, 'Tokyo');
    assert.match(
      offline.stderr,
      /^emergent: org\/demo: 127\.0\.0\.1:9 cannot be reached: [^\n]+; using the cached copy, commit \w{8}\n$/,
    );
  });
});
