import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { demoFolder } from '../../../../src/load.js';
import { childEnvironment, emergent, MAIN } from '../../../support/cli.js';
import { sha256 } from '../../../support/hub.js';
import { filesOf, useHub } from '../../../support/hubSetup.js';

const QUESTION = 'What is the capital of Japan?';
const WEIGHTS = 'model.safetensors';

describe('command line with a Hub model', () => {
  const here = useHub();
  const { hub } = here;
  let weights: Uint8Array;
  before(async () => {
    const demo = await filesOf(demoFolder());
    weights = demo[WEIGHTS];
    hub.commit('org/demo', demo);
    hub.commit('org/demo', demo, 'v1');
    const others = Object.entries(demo).filter(([name]) => name !== WEIGHTS);
    hub.commit('org/pickled', { ...Object.fromEntries(others), 'pytorch_model.bin': weights });
  });
  const blobs = (): string => join(here.home, 'hub/models--org--demo/blobs');

  it('downloads only the files of the revision that the command reads', async () => {
    const ids = '[72,105]\n';
    assert.equal((await emergent(['tokenize', '--json', '--model', 'org/demo@v1', 'Hi'])).stdout, ids);
    assert.equal((await emergent(['tokenize', '--json', '--model', 'org/demo', '--revision', 'v1', 'Hi'])).stdout, ids);
    const page = `${hub.url}/org/demo/tree/v1`;
    assert.equal((await emergent(['tokenize', '--json', '--model', page, 'Hi'])).stdout, ids);
    assert.deepEqual(await readdir(join(here.home, 'hub/models--org--demo/refs')), ['v1']);
    assert.deepEqual(hub.asked(WEIGHTS), []);
  });

  it('resumes a download after a kill, and cannot load the model before that', async () => {
    hub.fail(WEIGHTS, { dropAfter: 2_000_000, stall: true });
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'ask', '--model', 'org/demo', QUESTION], {
      env: childEnvironment(),
    });
    const left = await partial(2_000_000);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.on('close', resolve));
    process.env.HF_HUB_OFFLINE = '1';
    const early = await emergent(['ask', '--model', 'org/demo', QUESTION]);
    assert.deepEqual([early.code, early.stdout], [2, '']);
    assert.match(
      early.stderr,
      /\nemergent: the cached copy of org\/demo@main has neither model\.safetensors nor [^\n]+\n$/,
    );
    process.env.HF_HUB_OFFLINE = '';
    hub.reset();
    assert.equal((await emergent(['ask', '--model', 'org/demo', QUESTION])).stdout, 'Tokyo\n');
    assert.deepEqual(
      hub.asked(WEIGHTS).map(({ range }) => range),
      ['bytes=2000000-', 'bytes=2000000-'],
    );
    assert.equal(sha256(await readFile(join(blobs(), sha256(weights)))), sha256(weights));
    await assert.rejects(stat(left));
  });

  /** Waits until a partial download has `size` bytes. */
  async function partial(size: number): Promise<string> {
    for (;;) {
      const names = await readdir(blobs()).catch(() => []);
      const found = names.find((name) => name.startsWith(`${sha256(weights)}.`));
      if (found && (await stat(join(blobs(), found))).size === size) return join(blobs(), found);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it('downloads intact files when it runs twice at once', async () => {
    const both = await Promise.all([1, 2].map(() => emergent(['ask', '--model', 'org/demo', QUESTION])));
    assert.deepEqual(
      both.map(({ code, stdout }) => [code, stdout]),
      Array(2).fill([0, 'Tokyo\n']),
    );
    assert.equal(sha256(await readFile(join(blobs(), sha256(weights)))), sha256(weights));
    assert.deepEqual(
      (await readdir(blobs())).filter((name) => name.includes('.')),
      [],
    );
  });

  it('prefers a local folder', async () => {
    await cp(demoFolder(), join(here.home, 'org/demo'), { recursive: true });
    const { stdout } = await emergent(['tokenize', '--json', '--model', 'org/demo', 'Hi'], '', here.home);
    assert.equal(stdout, '[72,105]\n');
    assert.deepEqual(hub.seen, []);
    const { code, stderr } = await emergent(['inspect', '--model', 'org/demo', '--revision', 'v1'], '', here.home);
    assert.deepEqual([code, hub.seen.length], [2, 0]);
    assert.match(
      stderr,
      /^emergent: org\/demo is a local folder; only models on the Hugging Face Hub have revisions\n$/,
    );
  });

  const REFUSED: [string, RegExp][] = [
    ['org/nope', /^emergent: org\/nope is neither a local folder nor a public model on [^\n]+\n$/],
    ['org/demo@nope', /^emergent: org\/demo has no revision "nope" \(HTTP 404\)\n$/],
    ['nope', /^emergent: nope does not exist; models on the Hugging Face Hub are named org\/name\n$/],
    ['org/demo@../../x', /^emergent: "\.\.\/\.\.\/x" is not a valid revision\n$/],
    [
      'org/pickled',
      /^emergent: http[^\n]+\/pytorch_model\.bin is a Python pickle, [^\n]+ emergent import pytorch_model\.bin [^\n]+\n$/,
    ],
  ];
  for (const [model, line] of REFUSED) {
    it(`rejects ${model} in one line`, async () => {
      const { code, stdout, stderr } = await emergent(['inspect', '--model', model]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, line);
      assert.deepEqual(hub.asked('pytorch_model.bin'), []);
    });
  }
});
