import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/cli.js';
import { filesOf, useHub } from '../support/hubSetup.js';
import { skip } from '../support/setup.js';
import { commandsAt, ROOT } from './documents.js';
import { linkModels, NO_SHELL, openCheckout, runSnippets } from './shell.js';

const HUB_MODEL = 'Bochkov/emergent-semantics-model-64-float-272m';

/** Checks the options of a command of golden/run.sh, as it does itself before it loads PyTorch. */
const PARSE = 'import sys; sys.path.insert(0, sys.argv[1]); import commands; commands.parse(sys.argv[2:])';

/** Commands of the documents in a folder like a checkout. The Hub is a server on this machine that holds the demo. */
describe('commands of the documents', () => {
  const { hub } = useHub();
  let checkout: string;
  before(async function () {
    if (NO_SHELL) skip(this, NO_SHELL);
    checkout = await openCheckout();
    hub.commit(HUB_MODEL, await filesOf(fileURLToPath(new URL('../../models/demo', import.meta.url))));
  });
  after(async () => {
    if (!NO_SHELL) await rm(checkout, { recursive: true });
  });

  for (const { title, snippets } of commandsAt('checkout')) {
    it(`${title}: ${snippets[0].command}`, () => runSnippets(snippets, checkout));
  }

  for (const { title, snippets } of commandsAt('not run')) {
    it(`${title}: the options of ${snippets[0].command}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'emergent-options-'));
      try {
        await linkModels(folder);
        const [program, ...args] = (await words(snippets[0].command)).filter((word) => word !== '');
        assert.equal(program, 'golden/run.sh');
        const parse = (extra: string[]) =>
          run('python3', ['-S', '-B', '-c', PARSE, join(ROOT, 'golden'), ...args, ...extra], '', folder);
        const { code, stderr } = await parse([]);
        assert.equal(code, 0, stderr);
        assert.notEqual((await parse(['--unknown'])).code, 0);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});

/** The words of a command as the shell splits them. */
async function words(command: string): Promise<string[]> {
  return (await run('bash', ['-c', `printf '%s\\n' ${command}`])).stdout.split('\n');
}
