import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { parseConfig } from '../../../src/checkpoint/config.js';
import { openSafetensors } from '../../../src/checkpoint/safetensors.js';
import { inferSizes } from '../../../src/checkpoint/sizes.js';
import { fixture, readFixture } from '../../support/golden.js';

const T = (name: string, ...shape: number[]): { name: string; shape: number[] } => ({ name, shape });

/** Two GPT-2-like layers of width 16 with a vocabulary of 100 and an embedding of 4. */
const GPT2 = [0, 1].flatMap((n) => [
  T(`transformer.h.${n}.ln_1.weight`, 16),
  T(`transformer.h.${n}.ln_2.weight`, 16),
  T(`transformer.h.${n}.attn.c_attn.weight`, 48, 16),
  T(`transformer.h.${n}.mlp.c_fc.weight`, 64, 16),
  T(`transformer.h.${n}.mlp.c_fc.bias`, 64),
]);
const TABLES = [T('transformer.wte.weight', 100, 4), T('lm_head.weight', 100, 16)];
const FOUND = { n_layer: 2, d_model: 16, vocab_size: 100, n_embed: 4 };

describe('inferSizes', () => {
  it('finds the sizes of every golden model', async () => {
    for (const name of readdirSync(fixture('models'))) {
      const { config } = parseConfig(readFixture(`models/${name}/config.json`));
      const file = await openSafetensors(fixture(`models/${name}/model.safetensors`));
      const { n_head, block_size, n_embed, ...sizes } = inferSizes([...file.tensors.values()]);
      const { nLayer: n_layer, dModel: d_model, vocabSize: vocab_size } = config;
      assert.deepEqual(sizes, { n_layer, d_model, vocab_size }, name);
      if (file.tensors.has('token_embeddings.weight')) assert.equal(n_embed, config.nEmbed, name);
      assert.deepEqual([n_head, block_size], [undefined, undefined], 'weights do not show them');
      await file.close();
    }
  });

  it('finds them under other names, and ignores embeddings of positions', () => {
    assert.deepEqual(inferSizes([...GPT2, ...TABLES]), FOUND);
    assert.deepEqual(inferSizes([...GPT2, ...TABLES, T('transformer.wpe.weight', 32, 16)]), FOUND);
  });

  it('takes heads from rotary frequencies and block_size from a causal mask', () => {
    const buffers = [T('transformer.h.0.attn.inv_freq', 4), T('transformer.h.0.attn.bias', 1, 1, 32, 32)];
    assert.deepEqual(inferSizes([...GPT2, ...TABLES, ...buffers]), { ...FOUND, n_head: 2, block_size: 32 });
  });

  it('leaves out what is not certain', () => {
    assert.deepEqual(inferSizes([]), {});
    const { n_layer, n_embed } = inferSizes([...GPT2, ...TABLES, T('transformer.h.1.ln_3.weight', 8)]);
    assert.deepEqual([n_layer, n_embed], [2, 4]);
    assert.equal(inferSizes([...GPT2, ...TABLES, T('transformer.h.1.ln_3.weight', 8)]).d_model, undefined);
    assert.equal(inferSizes([...GPT2, ...TABLES, T('score.weight', 7, 16)]).vocab_size, undefined);
  });
});
