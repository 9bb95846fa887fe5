import assert from 'node:assert/strict';
import { readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../support/cli.js';
import { skip } from '../support/setup.js';
import { read, ROOT } from './documents.js';
import { NO_SHELL, openCheckout } from './shell.js';

/** The step of examples/verify.yml that does the work, with the workflow's own command and environment. */
function step(): { command: string; env: string } {
  const workflow = read('examples/verify.yml');
  const [, command] = /- run: (sh .*)\n/.exec(workflow)!;
  const [, block] = /env:\n((?: {10}\w+: .*\n)+)/.exec(workflow)!;
  return { command, env: [...block.matchAll(/(\w+): (.*)/g)].map(([, key, value]) => `${key}=${value}`).join(' ') };
}

describe('examples/verify.yml', () => {
  let checkout: string;
  before(async function () {
    if (NO_SHELL) skip(this, NO_SHELL);
    checkout = await openCheckout();
    await symlink(join(ROOT, 'examples/verify.sh'), join(checkout, 'verify.sh'));
  });
  after(async () => {
    if (!NO_SHELL) await rm(checkout, { recursive: true });
  });

  it('fails for a model that differs, passes once it is corrected, and leaves reports', async () => {
    const { command, env } = step();
    const start = () => run('sh', ['-c', `EMERGENT="npm run -s emergent --" ${env} ${command}`], '', checkout);
    const differs = await start();
    assert.equal(differs.code, 1, differs.stderr);
    const config = join(checkout, 'my-model/config.json');
    const json = JSON.parse(await readFile(config, 'utf8')) as object;
    await writeFile(config, JSON.stringify({ ...json, gelu_approximate: 'tanh' }));
    const agrees = await start();
    assert.equal(agrees.code, 0, agrees.stdout + agrees.stderr);
    const reports = (await readdir(join(checkout, 'reports'))).filter((name) => name.endsWith('.xml'));
    assert.deepEqual(reports.sort(), ['compare.xml', 'reference.xml', 'simd.xml']);
  });
});
