import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { formatConfig, parseConfig, PRESETS, type ConfigReport } from '../../../src/checkpoint/config.js';
import { withKeys } from '../../../src/checkpoint/configKeys.js';
import { parseQuantization } from '../../../src/checkpoint/quantized.js';
import { ConfigError } from '../../../src/lib/errors.js';

/** The config.json of a published model, without the keys that those leave to their code. */
const UPSTREAM = {
  architectures: ['BVVForCausalLM'],
  model_type: 'model_64_float',
  vocab_size: 65536,
  block_size: 1024,
  n_embed: 64,
  d_model: 1024,
  n_layer: 16,
  n_head: 32,
  pad_id: 57344,
  torch_dtype: 'float32',
};

/** What a reader must read back. */
function both({ config, assumed }: ConfigReport): Pick<ConfigReport, 'config' | 'assumed'> {
  return { config, assumed };
}

describe('config', () => {
  it('reads a published config and reports the assumed keys', () => {
    const { config, assumed } = parseConfig(UPSTREAM);
    assert.deepEqual(config, PRESETS.model_64_float);
    assert.deepEqual(assumed, ['rope_pairing', 'rope_theta', 'gelu_approximate', 'norm_position', 'layer_norm_eps']);
  });

  it('accepts n_embd as n_embed, unless both exist and differ', () => {
    const { n_embed, ...rest } = UPSTREAM;
    assert.equal(parseConfig({ ...rest, n_embd: n_embed }).config.nEmbed, 64);
    assert.equal(parseConfig({ ...UPSTREAM, n_embd: 64 }).config.nEmbed, 64);
    assert.throws(() => parseConfig({ ...UPSTREAM, n_embd: 16 }), /n_embed is 64 but n_embd is 16/);
  });

  it('reads back what it writes', () => {
    for (const preset of Object.values(PRESETS))
      assert.deepEqual(both(parseConfig(formatConfig(preset))), { config: preset, assumed: [] });
  });

  it('has the ten members of the family', () => {
    assert.deepEqual(
      Object.values(PRESETS)
        .filter(({ nLayer }) => nLayer === 16)
        .map(({ nEmbed }) => nEmbed),
      [16, 16, 64, 64, 256, 256, 1024, 1024, 1024, 1024],
    );
  });

  it('leaves out what was assumed, so that it stays assumed', () => {
    const { config, assumed } = parseConfig({ ...UPSTREAM, pad_id: undefined, rope_theta: 500 });
    const written = formatConfig(config, assumed);
    assert.deepEqual(
      Object.keys(written).filter((key) => assumed.includes(key)),
      [],
    );
    assert.deepEqual(both(parseConfig(written)), { config, assumed });
    assert.equal(written.rope_theta, 500);
  });

  it('accepts every block_size whose positions are exact in float32', () => {
    assert.equal(Math.fround(2 ** 24), 2 ** 24);
    assert.notEqual(Math.fround(2 ** 24 + 1), 2 ** 24 + 1);
    assert.equal(parseConfig({ ...UPSTREAM, block_size: 2 ** 24 }).config.blockSize, 2 ** 24);
  });

  it('cuts a value before it is quoted', () => {
    let deep: unknown = 0;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    for (const key of Object.keys(formatConfig(PRESETS.model_64_float))) {
      if (key === 'architectures' || key === 'torch_dtype') continue;
      assert.throws(
        () => parseConfig({ ...UPSTREAM, [key]: deep }),
        (error) => error instanceof ConfigError && error.message.startsWith(`config.json: ${key} must`),
      );
    }
  });

  it('checks the quantization', () => {
    const ok = { quantization: { method: 'int8', group_size: 32, more: 1 } };
    assert.equal(parseQuantization({ quantization: null }, 'c'), null);
    assert.equal(parseQuantization({}, 'c'), null);
    for (const quantization of [5, 'int8', [], true, [['int8']]]) {
      assert.throws(
        () => parseQuantization({ quantization }, 'c'),
        /^ConfigError: c: "quantization" must be an object/,
      );
    }
    for (const change of [{ method: null }, { method: {} }, { group_size: '32' }, { group_size: undefined }]) {
      assert.throws(
        () => parseQuantization({ quantization: { ...ok.quantization, ...change } }, 'c'),
        /^ConfigError: c: quantization\.(method|group_size) must be/,
      );
    }
  });

  const faults: [Record<string, unknown>, RegExp][] = [
    [{ vocab_size: undefined }, /vocab_size is missing/],
    [{ n_embed: undefined }, /n_embed is missing/],
    [{ n_layer: 0 }, /n_layer must be an integer of at least 1, got 0/],
    [{ d_model: '1024' }, /d_model must be an integer of at least 1, got "1024"/],
    [{ block_size: 1.5 }, /block_size must be an integer/],
    [{ n_head: 3 }, /n_head must divide d_model: 3 heads, width 1024/],
    [{ d_model: 1024, n_head: 1024 }, /even head width/],
    [{ n_embed: 48 }, /n_embed must divide d_model: embedding 48, width 1024/],
    [{ rope_pairing: 'Half' }, /rope_pairing must be one of half, interleaved, got "Half"/],
    [{ gelu_approximate: true }, /gelu_approximate must be one of none, tanh/],
    [{ norm_position: null }, /norm_position must be one of pre, post/],
    [{ layer_norm_eps: 0 }, /layer_norm_eps must be a positive number/],
    [{ rope_theta: '1e4' }, /rope_theta must be a positive number/],
    [{ pad_id: -1 }, /pad_id must be an integer of at least 0/],
    [{ model_type: 3 }, /model_type must be a string/],
    [{ block_size: 1e9 }, /block_size must be at most 16777216, got 1000000000: positions are float32/],
    [{ block_size: 2 ** 24 + 1 }, /block_size must be at most 16777216/],
  ];
  for (const [change, message] of faults) {
    it(`rejects ${inspect(change)}`, () => {
      assert.throws(
        () => parseConfig({ ...UPSTREAM, ...change }, 'some/config.json'),
        (error) =>
          error instanceof ConfigError && message.test(error.message) && error.message.startsWith('some/config.json: '),
      );
    });
  }

  /** A configuration in the words of transformers. */
  const OTHERS = {
    vocab_size: 100,
    max_position_embeddings: 32,
    n_embd: 8,
    hidden_size: 16,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    pad_token_id: 4,
    hidden_act: 'gelu_new',
    layer_norm_epsilon: 1e-6,
    rotary_emb_base: 500,
    rope_scaling: null,
  };

  it('understands the keys of other libraries and says which it read', () => {
    const { config, aliases, assumed } = parseConfig(OTHERS);
    assert.deepEqual(config, {
      ...{ modelType: 'custom', vocabSize: 100, blockSize: 32, nEmbed: 8, dModel: 16, nLayer: 3, nHead: 2, padId: 4 },
      ...{ ropePairing: 'half', ropeTheta: 500, geluApproximate: 'tanh', normPosition: 'pre', layerNormEps: 1e-6 },
    });
    assert.deepEqual(aliases, {
      ...{ block_size: 'max_position_embeddings', n_embed: 'n_embd', d_model: 'hidden_size' },
      ...{ n_layer: 'num_hidden_layers', n_head: 'num_attention_heads', pad_id: 'pad_token_id' },
      ...{ rope_theta: 'rotary_emb_base', gelu_approximate: 'hidden_act', layer_norm_eps: 'layer_norm_epsilon' },
    });
    assert.deepEqual(assumed, ['rope_pairing', 'norm_position']);
  });

  const conflicts: [Record<string, unknown>, RegExp][] = [
    [{ n_ctx: 64 }, /max_position_embeddings is 32 but n_ctx is 64/],
    [{ d_model: 32 }, /d_model is 32 but hidden_size is 16/],
    [{ hidden_act: 'silu' }, /hidden_act must be one of gelu, .*, got "silu"/],
    [{ hidden_size: '16' }, /hidden_size must be an integer of at least 1, got "16"/],
    [{ rope_scaling: { type: 'linear' } }, /rope_scaling is .*, which this architecture does not have/],
    [{ rotary_pct: 0.25 }, /rotary_pct is 0\.25, which this architecture does not have/],
  ];
  for (const [change, message] of conflicts) {
    it(`rejects ${inspect(change)} beside the keys of others`, () => {
      assert.throws(() => parseConfig({ ...OTHERS, ...change }), message);
    });
  }

  it('names all missing keys at once, and takes them from shapes', () => {
    assert.throws(
      () => parseConfig({ n_layer: 1, n_embed: 8 }, 'c'),
      /^ConfigError: c: vocab_size, block_size, d_model and n_head are missing: add them, or give --config vocab_size=VALUE --config block_size=VALUE --config d_model=VALUE --config n_head=VALUE$/,
    );
    const { config, inferred } = parseConfig({ ...OTHERS, hidden_size: null }, 'c', { d_model: 16, n_layer: 9 });
    assert.deepEqual([config.dModel, config.nLayer, inferred], [16, 3, ['d_model']]);
  });

  it('assumes no pad_id outside the vocabulary, and warns of one in the file', () => {
    const rest = withKeys({ ...OTHERS, pad_token_id: null }, {});
    assert.deepEqual([parseConfig(rest).config.padId, parseConfig(rest).assumed[0]], [0, 'pad_id']);
    assert.deepEqual(parseConfig({ ...rest, pad_id: 100 }, 'c').warnings, [
      'c: pad_id is 100, outside the vocabulary of 100',
    ]);
  });

  it('replaces a key under all its names', () => {
    const { config } = parseConfig(withKeys({ ...OTHERS, n_ctx: 32 }, { block_size: 64, heads: 4 }));
    assert.deepEqual([config.blockSize, config.nHead], [64, 4]);
  });

  it('rejects JSON that is not an object', () => {
    for (const json of [null, 3, 'x', [UPSTREAM]]) assert.throws(() => parseConfig(json), ConfigError);
  });
});
