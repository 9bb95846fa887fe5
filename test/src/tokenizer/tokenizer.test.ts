import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TokenizerError } from '../../../src/lib/errors.js';
import { demoFolder } from '../../../src/load.js';
import { loadTokenizer } from '../../../src/tokenizer/loadTokenizer.js';
import { Tokenizer } from '../../../src/tokenizer/tokenizer.js';

describe('tokenizer', () => {
  it('omits special tokens by default', async () => {
    const tokenizer = await loadTokenizer(demoFolder());
    const ids = [...tokenizer.encode(' Tokyo'), tokenizer.eosId!];
    assert.equal(tokenizer.decode(ids), ' Tokyo');
    assert.equal(tokenizer.decode(ids, { specialTokens: true }), ' Tokyo</s>');
    assert.deepEqual([tokenizer.decode([]), tokenizer.encode('')], ['', []]);
  });

  it('keeps spaces before punctuation', async () => {
    const tokenizer = await loadTokenizer(demoFolder());
    assert.equal(tokenizer.decode(tokenizer.encode('Is it , or not ?')), 'Is it , or not ?');
  });

  it('rejects an invalid tokenizer and names the file', async () => {
    for (const json of [null, 3, {}, { model: { type: 'BPE' } }]) {
      assert.throws(
        () => new Tokenizer(json, {}, 'x.json'),
        (e) => e instanceof TokenizerError && e.message.startsWith('x.json: '),
      );
    }
    const folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    await assert.rejects(loadTokenizer(folder), /tokenizer\.json does not exist/);
    await writeFile(join(folder, 'tokenizer.json'), '{"model"');
    await assert.rejects(loadTokenizer(folder), /tokenizer\.json is not JSON/);
    await rm(folder, { recursive: true });
  });
});
