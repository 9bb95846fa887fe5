import assert from 'node:assert/strict';
import { emergent } from '../../support/cli.js';

describe('command line', () => {
  it('gives help with examples for each command', async () => {
    const { code, stdout } = await emergent(['--help']);
    assert.equal(code, 0);
    for (const name of [
      'ask',
      'generate',
      'logits',
      'trace',
      'record',
      'tokenize',
      'inspect',
      'build-tokenizer',
      'verify',
      'calibrate',
      'perplexity',
      'logit-lens',
      'convert',
      'make-checkpoint',
      'make-codes',
      'bench',
    ]) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
      const help = await emergent([name, '--help']);
      assert.equal(help.code, 0);
      assert.match(help.stdout, /Examples:\n {2}emergent /);
    }
  });
});
