import assert from 'node:assert/strict';
import { canonicalTensors, resolveNames } from '../../../src/checkpoint/names.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { TINY } from '../../support/arbitraries.js';

const { vocabSize: V, nEmbed: E, dModel: C, nLayer: L } = TINY;

interface Named {
  name: string;
  shape: number[];
}

/** The names of the modules in one naming style, with `#` for the layer. Null for a module that the style lacks. */
type Style = Record<
  'embedding' | 'norm1' | 'q' | 'k' | 'v' | 'qkv' | 'o' | 'norm2' | 'up' | 'down' | 'final' | 'head',
  string | null
>;

const SHAPES: Record<keyof Style, [number[], boolean]> = {
  embedding: [[V, E], false],
  norm1: [[C], true],
  q: [[C, C], false],
  k: [[C, C], false],
  v: [[C, C], false],
  qkv: [[3 * C, C], false],
  o: [[C, C], false],
  norm2: [[C], true],
  up: [[4 * C, C], true],
  down: [[C, 4 * C], true],
  final: [[C], true],
  head: [[V, C], true],
};

const CANONICAL: Record<keyof Style, string> = {
  embedding: 'token_embeddings',
  norm1: 'transformer_layers.#.input_layernorm',
  q: 'transformer_layers.#.self_attn.q_proj',
  k: 'transformer_layers.#.self_attn.k_proj',
  v: 'transformer_layers.#.self_attn.v_proj',
  qkv: 'transformer_layers.#.self_attn.qkv_proj',
  o: 'transformer_layers.#.self_attn.o_proj',
  norm2: 'transformer_layers.#.post_attention_layernorm',
  up: 'transformer_layers.#.ffn.0',
  down: 'transformer_layers.#.ffn.2',
  final: 'final_layernorm',
  head: 'lm_head',
};

function style(text: string): Style {
  const keys = Object.keys(SHAPES) as (keyof Style)[];
  const names = text.trim().split(/\s+/);
  assert.equal(names.length, keys.length);
  return Object.fromEntries(keys.map((key, i) => [key, names[i] === '-' ? null : names[i]])) as Style;
}

/** The tensors of a style, and the canonical names that they must resolve to. */
function tensorsOf(names: Style, biases = true): { tensors: Named[]; expected: Map<string, string> } {
  const tensors: Named[] = [];
  const expected = new Map<string, string>();
  for (const [key, [shape, biased]] of Object.entries(SHAPES) as [keyof Style, [number[], boolean]][]) {
    const name = names[key];
    if (name === null) continue;
    for (let n = 0; n < (name.includes('#') ? L : 1); n++) {
      for (const kind of biased && biases ? ['weight', 'bias'] : ['weight']) {
        const full = `${name}.${kind}`.replace('#', String(n));
        tensors.push({ name: full, shape: kind === 'weight' ? shape : [shape[0]] });
        expected.set(full, `${CANONICAL[key]}.${kind}`.replace('#', String(n)));
      }
    }
  }
  return { tensors, expected };
}

const STYLES: Record<string, Style> = {
  //                 embedding norm1 q k v qkv o norm2 up down final head
  canonical: style(`token_embeddings transformer_layers.#.input_layernorm
    transformer_layers.#.self_attn.q_proj transformer_layers.#.self_attn.k_proj transformer_layers.#.self_attn.v_proj -
    transformer_layers.#.self_attn.o_proj transformer_layers.#.post_attention_layernorm
    transformer_layers.#.ffn.0 transformer_layers.#.ffn.2 final_layernorm lm_head`),
  'canonical, compiled': style(`_orig_mod.token_embeddings _orig_mod.layers.#.input_layernorm
    _orig_mod.layers.#.self_attn.q_proj _orig_mod.layers.#.self_attn.k_proj _orig_mod.layers.#.self_attn.v_proj -
    _orig_mod.layers.#.self_attn.o_proj _orig_mod.layers.#.post_attention_layernorm
    _orig_mod.layers.#.ffn.0 _orig_mod.layers.#.ffn.2 _orig_mod.final_layernorm _orig_mod.lm_head`),
  nanoGPT: style(`transformer.wte transformer.h.#.ln_1 - - - transformer.h.#.attn.c_attn transformer.h.#.attn.c_proj
    transformer.h.#.ln_2 transformer.h.#.mlp.c_fc transformer.h.#.mlp.c_proj transformer.ln_f lm_head`),
  LLaMA: style(`model.embed_tokens model.layers.#.input_layernorm
    model.layers.#.self_attn.q_proj model.layers.#.self_attn.k_proj model.layers.#.self_attn.v_proj -
    model.layers.#.self_attn.o_proj model.layers.#.post_attention_layernorm
    model.layers.#.mlp.up_proj model.layers.#.mlp.down_proj model.norm lm_head`),
  'LLaMA by Meta': style(`tok_embeddings layers.#.attention_norm
    layers.#.attention.wq layers.#.attention.wk layers.#.attention.wv - layers.#.attention.wo layers.#.ffn_norm
    layers.#.feed_forward.w1 layers.#.feed_forward.w2 norm output`),
  'a first tutorial': style(`token_embedding_table blocks.#.ln1
    blocks.#.sa.query blocks.#.sa.key blocks.#.sa.value - blocks.#.sa.proj blocks.#.ln2
    blocks.#.ffwd.net.0 blocks.#.ffwd.net.2 ln_f lm_head`),
  ViT: style(`embed blocks.#.norm1 - - - blocks.#.attn.qkv blocks.#.attn.proj blocks.#.norm2
    blocks.#.mlp.fc1 blocks.#.mlp.fc2 norm head`),
  'nn.TransformerEncoderLayer': style(`embedding encoder.layers.#.norm1 - - - encoder.layers.#.self_attn.in_proj
    encoder.layers.#.self_attn.out_proj encoder.layers.#.norm2 encoder.layers.#.linear1 encoder.layers.#.linear2
    encoder.norm fc_out`),
  'to_q, to_out': style(`emb layers.#.norms.0 layers.#.attn.to_q layers.#.attn.to_k layers.#.attn.to_v -
    layers.#.attn.to_out.0 layers.#.norms.1 layers.#.ff.1 layers.#.ff.4 final_norm to_logits`),
};

function resolved(tensors: Named[], map = {}) {
  const result = resolveNames(tensors, TINY, map, 'x');
  return new Map(result.tensors.map(({ name, canonical }) => [name, canonical]));
}

describe('names', () => {
  for (const [name, names] of Object.entries(STYLES)) {
    it(`knows the names of ${name}`, () => {
      const { tensors, expected } = tensorsOf(names);
      assert.deepEqual(resolved(tensors), expected);
    });
    it(`knows the names of ${name} without biases or final norm`, () => {
      const { tensors, expected } = tensorsOf({ ...names, final: null }, false);
      assert.deepEqual(resolved(tensors), expected);
    });
  }

  for (const biased of [['q'], ['q', 'k', 'v'], ['o'], ['qkv'], ['q', 'k', 'v', 'qkv', 'o']] as (keyof Style)[][]) {
    it(`accepts biases on ${biased.join(', ')} and transposes nothing because of them`, () => {
      for (const [name, names] of Object.entries(STYLES)) {
        const { tensors, expected } = tensorsOf(names);
        for (const key of biased) {
          for (let n = 0; n < L && names[key] !== null; n++) {
            const bias = `${names[key]}.bias`.replace('#', String(n));
            tensors.push({ name: bias, shape: [SHAPES[key][0][0]] });
            expected.set(bias, `${CANONICAL[key]}.bias`.replace('#', String(n)));
          }
        }
        assert.deepEqual(resolved(tensors), expected, name);
        assert.ok(resolveNames(tensors, TINY).tensors.every(({ transposed }) => !transposed));
      }
    });
  }

  it('knows gamma and beta, the names of TensorFlow', () => {
    for (const ending of ['.', '_']) {
      const { tensors, expected } = tensorsOf(STYLES.LLaMA);
      const renamed = (name: string) =>
        name.includes('norm') ? name.replace('.weight', `${ending}gamma`).replace('.bias', `${ending}beta`) : name;
      const result = resolved(tensors.map(({ name, shape }) => ({ name: renamed(name), shape })));
      assert.deepEqual(result, new Map([...expected].map(([name, canonical]) => [renamed(name), canonical])));
    }
  });

  it('finds the layers if other names contain numbers too', () => {
    const { tensors, expected } = tensorsOf({ ...STYLES.LLaMA, embedding: 'stem.0.emb' });
    assert.deepEqual(resolved(tensors), expected);
  });

  it('identifies norms by their words if only one has a number', () => {
    const { tensors, expected } = tensorsOf({ ...STYLES['LLaMA by Meta'], norm2: 'layers.#.ffn_norm2' });
    assert.deepEqual(resolved(tensors), expected);
  });

  it('knows the fused weights of nn.MultiheadAttention, which are not a separate module', () => {
    const { tensors } = tensorsOf({ ...STYLES['a first tutorial'], q: null, k: null, v: null });
    for (let n = 0; n < L; n++) {
      tensors.push({ name: `blocks.${n}.sa.in_proj_weight`, shape: [3 * C, C] });
      tensors.push({ name: `blocks.${n}.sa.in_proj_bias`, shape: [3 * C] });
    }
    const names = resolved(tensors);
    assert.equal(names.get('blocks.1.sa.in_proj_weight'), 'transformer_layers.1.self_attn.qkv_proj.weight');
    assert.equal(names.get('blocks.1.sa.in_proj_bias'), 'transformer_layers.1.self_attn.qkv_proj.bias');
  });

  it('transposes the matrices of GPT-2 and reports the assumption', () => {
    const { tensors, expected } = tensorsOf(STYLES.nanoGPT);
    for (const tensor of tensors)
      if (tensor.name.includes('.h.') && tensor.shape.length === 2) tensor.shape = tensor.shape.toReversed();
    const result = resolveNames(tensors, TINY);
    assert.deepEqual(new Map(result.tensors.map((t) => [t.name, t.canonical])), expected);
    const turned = result.tensors.filter(({ transposed }) => transposed).map(({ name }) => name);
    assert.equal(turned.length, 4 * L, 'including the square output projection');
    assert.deepEqual(result.assumptions.length, 2);
  });

  it('transposes the matrices of GPT-2 without biases, because a fused [C, 3C] is unambiguous', () => {
    const { tensors, expected } = tensorsOf(STYLES.nanoGPT, false);
    for (const tensor of tensors)
      if (tensor.name.includes('.h.') && tensor.shape.length === 2) tensor.shape = tensor.shape.toReversed();
    assert.deepEqual(resolved(tensors), expected);
  });

  it('does not guess embedding and head if neither words nor shapes identify them', () => {
    const { tensors } = tensorsOf({ ...STYLES.LLaMA, embedding: 'a', head: 'b' });
    tensors[0].shape = [V, C];
    const config = { ...TINY, nEmbed: C };
    assert.throws(() => resolveNames(tensors, config), /identify a\.weight \[40, 16\], b\.weight \[40, 16\]/);
  });

  it('identifies embedding and head by words if E = C', () => {
    const config = { ...TINY, nEmbed: C };
    for (const [embedding, head] of [
      ['wte', 'lm_head'],
      ['tok_emb', 'output'],
      ['model.decoder.embed_tokens', 'head'],
    ]) {
      const { tensors } = tensorsOf({ ...STYLES.canonical, embedding, head });
      tensors[0].shape = [V, C];
      const names = new Map(resolveNames(tensors, config).tensors.map((t) => [t.name, t.canonical]));
      assert.equal(names.get(`${embedding}.weight`), 'token_embeddings.weight');
      assert.equal(names.get(`${head}.weight`), 'lm_head.weight');
    }
  });

  function rejects(change: (tensors: Named[]) => void, message: RegExp, map = {}): void {
    const { tensors } = tensorsOf(STYLES.LLaMA);
    change(tensors);
    assert.throws(
      () => resolved(tensors, map),
      (error: Error) =>
        error instanceof CheckpointError && message.test(error.message) && !error.message.includes('\n'),
    );
  }
  const drop = (name: string) => (tensors: Named[]) =>
    tensors.splice(
      tensors.findIndex((t) => t.name === name),
      1,
    );
  const put = (name: string, shape: number[]) => (tensors: Named[]) => tensors.push({ name, shape });

  it('handles tensor names that are properties of every JavaScript object', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      rejects(put(name, [3]), new RegExp(`cannot identify ${name} \\[3\\]`));
    }
  });

  it('reports how it identified each tensor', () => {
    const { tensors } = tensorsOf(STYLES.canonical);
    tensors.find(({ name }) => name === 'lm_head.weight')!.name = 'strange.weight';
    tensors.find(({ name }) => name === 'final_layernorm.weight')!.name = 'ln_f.weight';
    tensors.find(({ name }) => name === 'final_layernorm.bias')!.name = 'ln_f.bias';
    const result = resolveNames(tensors, TINY, { 'strange.weight': 'lm_head.weight' });
    const by = Object.fromEntries(result.tensors.map((t) => [t.name, t.by]));
    assert.deepEqual([by['strange.weight'], by['lm_head.bias'], by['ln_f.weight']], ['map', 'name', 'role']);
  });

  it('places a bias with the weight that the map places', () => {
    const { tensors, expected } = tensorsOf(STYLES['LLaMA by Meta']);
    for (const tensor of tensors) tensor.name = tensor.name.replace(/^output\./, 'abc.');
    const names = resolved(tensors, { 'abc.weight': 'lm_head.weight' });
    assert.equal(names.get('abc.bias'), 'lm_head.bias');
    assert.equal(names.size, expected.size);
  });

  it('rejects 100,000 unknown tensors quickly', function () {
    this.timeout(20_000); // a quadratic search takes minutes
    const { tensors } = tensorsOf(STYLES.canonical);
    for (let i = 0; i < 100_000; i++) tensors.push({ name: `x.0.y${i}.weight`, shape: [4, 4] });
    assert.throws(() => resolved(tensors), /and 99996 more: map them with --tensor-map$/);
  });

  it('ignores buffers and reports them', () => {
    const { tensors, expected } = tensorsOf(STYLES.nanoGPT);
    tensors.push({ name: 'transformer.h.0.attn.bias', shape: [1, 1, 16, 16] });
    tensors.push({ name: 'transformer.h.0.attn.rotary_emb.inv_freq', shape: [4] });
    tensors.push({ name: 'causal_mask', shape: [16, 16] });
    tensors.push({ name: 'transformer.h.1.attention.bias', shape: [1, 1, 16, 16] });
    tensors.push({ name: 'transformer.h.1.attn.masked_bias', shape: [] });
    tensors.push({ name: 'transformer.position_ids', shape: [1, 16] });
    tensors.push({ name: 'rotary.cos_cached', shape: [1, 1, 16, 8] });
    tensors.push({ name: 'freqs_sin', shape: [16, 4] });
    tensors.push({ name: 'freqs_cis', shape: [16, 4] });
    const result = resolveNames(tensors, TINY);
    assert.equal(result.tensors.length, expected.size);
    assert.deepEqual(
      result.ignored.map(({ what }) => what),
      // prettier-ignore
      [
        'causal mask', 'rotary frequencies', 'causal mask', 'causal mask', 'buffer', 'buffer',
        'rotary table', 'rotary table', 'rotary table',
      ],
    );
  });

  it('rejects tensors that it cannot identify', () => {
    rejects(put('model.wpe.weight', [16, C]), /cannot identify model\.wpe\.weight \[16, 16\].*--tensor-map/);
    rejects(put('model.layers.0.mlp.gate_proj.extra', [3]), /gate_proj\.extra \[3\]/);
    rejects(put('model.position_embeddings.weight', [16, C]), /cannot identify model\.position_embeddings\.weight/);
    rejects(put('model.layers.0.attn.bias', [C]), /cannot identify model\.layers\.0\.attn\.bias \[16\]/);
    rejects(put('model.layers.0.self_attn.q_k.weight', [C, C]), /cannot identify .*q_k\.weight/);
    rejects(put('model.table.weight', [V + 1, E]), /cannot identify model\.table\.weight \[41, 4\]/);
  });

  it('rejects a checkpoint with missing tensors', () => {
    rejects(
      drop('model.layers.1.self_attn.k_proj.weight'),
      /nothing found for transformer_layers\.1\.self_attn\.k_proj\.weight \[16, 16\]/,
    );
    rejects(drop('lm_head.weight'), /nothing found for lm_head\.weight \[40, 16\]/);
    rejects((tensors) => {
      drop('lm_head.weight')(tensors);
      drop('lm_head.bias')(tensors);
    }, /nothing found for lm_head\.weight \[40, 16\] \(the head of this architecture is not tied to the embedding\)/);
    rejects(
      drop('model.embed_tokens.weight'),
      /token_embeddings\.weight \[40, 4\]: use --tensor-map if the file has it/,
    );
    rejects(
      drop('model.layers.1.mlp.up_proj.bias'),
      /found model\.layers\.0\.mlp\.up_proj\.bias, but not its counterpart transformer_layers\.1\.ffn\.0\.bias/,
    );
    rejects(drop('model.norm.weight'), /model\.norm\.bias/);
  });

  it('rejects a bias without a weight', () => {
    const { tensors } = tensorsOf(STYLES.canonical);
    drop('final_layernorm.weight')(tensors);
    assert.throws(() => resolved(tensors), /final_layernorm\.bias is a bias without a weight/);
  });

  it('rejects two tensors with the same role', () => {
    rejects(
      put('model.layers.0.self_attn.query.weight', [C, C]),
      /both model\.layers\.0\.self_attn\.q_proj\.weight and/,
    );
    rejects(put('model.layers.0.mlp.gate_proj.weight', [4 * C, C]), /both .*up_proj.* and .*gate_proj.* look like/);
    rejects(
      put('model.layers.0.self_attn.qkv.weight', [3 * C, C]),
      /contains q, k and v, but the file also has .*q_proj/,
    );
    for (const one of ['q', 'k', 'v']) {
      const others = ['q', 'k', 'v'].filter((other) => other !== one);
      rejects(
        (tensors) => {
          for (const other of others)
            for (let n = 0; n < L; n++) drop(`model.layers.${n}.self_attn.${other}_proj.weight`)(tensors);
          for (let n = 0; n < L; n++) put(`model.layers.${n}.self_attn.qkv.weight`, [3 * C, C])(tensors);
        },
        new RegExp(`layers\\.0\\.self_attn\\.qkv\\.weight contains q, k and v, but the file also has .*${one}_proj`),
      );
    }
  });

  it('rejects shapes and layers that do not fit the config', () => {
    rejects(
      (tensors) => (tensors[0].shape = [V, E + 1]),
      /model\.embed_tokens\.weight \(token_embeddings\.weight\) is \[40, 5\], expected \[40, 4\] \(V x E\)/,
    );
    rejects(put(`model.layers.${L}.input_layernorm.weight`, [C]), /is in layer 2, but n_layer is 2/);
    rejects(
      (tensors) => tensors.forEach((t) => t.name === 'lm_head.bias' && (t.shape = [V + 1])),
      /expected \[40\] \(V\)/,
    );
  });

  it('rejects more layers than tensors, before listing them', () => {
    const { tensors } = tensorsOf(STYLES.canonical);
    assert.throws(() => resolveNames(tensors, { ...TINY, nLayer: 2 ** 40 }), /cannot make up 1099511627776 layers/);
  });

  it('reports the layer, not another number in the name', () => {
    rejects(put(`model.layers.${L}.input_layernorm.weight`, [C]), /is in layer 2, but n_layer is 2/);
    const { tensors } = tensorsOf(STYLES.LLaMA);
    for (const tensor of tensors) tensor.name = tensor.name.replace('model.', 'gpt7.');
    put(`gpt7.layers.9.input_layernorm.weight`, [C])(tensors);
    assert.throws(() => resolved(tensors), /gpt7\.layers\.9\.input_layernorm\.weight is in layer 9, but n_layer is 2/);
  });

  it('rejects tensors that this architecture does not have', () => {
    rejects(
      put('model.embed_tokens.bias', [E]),
      /looks like token_embeddings\.bias, which this architecture does not have/,
    );
    rejects(put('model.layers.0.self_attn.q_norm.weight', [C]), /both .*input_layernorm\.weight and .*q_norm\.weight/);
    rejects((tensors) => {
      for (const kind of ['weight', 'bias']) {
        drop(`model.norm.${kind}`)(tensors);
        put(`model.embed_norm.${kind}`, [C])(tensors);
      }
    }, /cannot identify model\.embed_norm\.weight/);
  });

  it('rejects feed-forward matrices whose names contradict their shapes', () => {
    for (const [up, down] of [
      ['mlp.up_proj', 'mlp.down_proj'],
      ['mlp.fc_in', 'mlp.fc_out'],
      ['mlp.fc1', 'mlp.fc2'],
      ['ff.0', 'ff.3'],
      ['mlp.c_fc', 'mlp.c_proj'],
      ['mlp.up_proj', 'mlp.abc'],
    ]) {
      // stored as [in, out], without a bias to show it
      const { tensors } = tensorsOf({ ...STYLES.LLaMA, up: `layers.#.${up}`, down: `layers.#.${down}` }, false);
      assert.doesNotThrow(() =>
        resolved(tensors.map((t) => ({ ...t, name: t.name.replace(/^layers/, 'model.layers') }))),
      );
      for (const tensor of tensors) {
        tensor.name = tensor.name.replace(/^layers/, 'model.layers');
        if (tensor.shape.length === 2 && tensor.shape.includes(4 * C)) tensor.shape = tensor.shape.toReversed();
      }
      assert.throws(() => resolved(tensors), /cannot identify model\.layers\.0\./, up);
    }
  });

  it('does not guess the order in query_key_value, but accepts a map', () => {
    const { tensors } = tensorsOf({ ...STYLES.ViT, qkv: 'blocks.#.attention.query_key_value' });
    assert.throws(() => resolved(tensors), /identify blocks\.0\.attention\.query_key_value\.weight \[48, 16\]/);
    const entries = [0, 1].map((n): [string, string] => [
      `blocks.${n}.attention.query_key_value.weight`,
      `transformer_layers.${n}.self_attn.qkv_proj.weight`,
    ]);
    assert.doesNotThrow(() => resolved(tensors, Object.fromEntries(entries)));
  });

  it('prefers words to shapes outside the layers', () => {
    rejects((tensors) => {
      tensors.find((t) => t.name === 'model.embed_tokens.weight')!.shape = [V, C];
    }, /embed_tokens\.weight \(token_embeddings\.weight\) is \[40, 16\], expected \[40, 4\] \(V x E\)/);
    rejects((tensors) => {
      tensors.find((t) => t.name === 'model.embed_tokens.weight')!.name = 'a.weight';
      tensors.find((t) => t.name === 'lm_head.weight')!.name = 'b.weight';
      drop('lm_head.bias')(tensors);
      tensors.push({ name: 'c.weight', shape: [V, E + 1] });
    }, /identify c\.weight \[40, 5\]/);
  });

  it('prints tensor names on one line', () => {
    rejects(put('a\nb', [1]), /identify "a\\nb" \[1\]/);
  });

  it('uses the map for tensors that it cannot identify', () => {
    const strange = (tensors: Named[]) => {
      tensors.find((t) => t.name === 'model.norm.weight')!.name = 'gain';
      tensors.find((t) => t.name === 'model.norm.bias')!.name = 'shift';
      tensors.push({ name: 'junk', shape: [1] });
    };
    rejects(strange, /gain \[16\], shift \[16\], junk \[1\]/);
    const { tensors } = tensorsOf(STYLES.LLaMA);
    strange(tensors);
    const map = { gain: 'final_layernorm.weight', shift: 'final_layernorm.bias', junk: null };
    const names = resolved(tensors, map);
    assert.equal(names.get('gain'), 'final_layernorm.weight');
    assert.equal(names.has('junk'), false);
    rejects(strange, /has no tensor "nope"/, { nope: 'lm_head.weight' });
    rejects(strange, /both .* and .* look like final_layernorm\.weight/, {
      ...map,
      shift: 'final_layernorm.weight',
    });
    rejects(strange, /"head", given for "gain", is not a canonical name/, { gain: 'head' });
    rejects(strange, /expected a JSON object/, [1]);
  });

  it('counts 272,844,800 parameters for Model_64_FLOAT', () => {
    const config = { ...TINY, vocabSize: 65536, nEmbed: 64, dModel: 1024, nLayer: 16, nHead: 32 };
    const biased = /layernorm|ffn|lm_head/;
    const total = [...canonicalTensors(config).values()]
      .filter(({ name }) => !name.includes('qkv') && (name.endsWith('weight') || biased.test(name)))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    assert.equal(total, 272_844_800);
  });

  it('takes a file of any number of tensors', () => {
    const norms = Array.from({ length: 200_000 }, (_, n) => ({ name: `h.${n}.input_layernorm.weight`, shape: [C] }));
    assert.throws(
      () => resolveNames(norms, TINY),
      (error) =>
        error instanceof CheckpointError &&
        error.message.includes('h.2.input_layernorm.weight is in layer 2, but n_layer is 2'),
    );
    const unknown = Array.from({ length: 200_000 }, (_, n) => ({ name: `odd.${n}`, shape: [n] }));
    assert.throws(
      () => resolveNames(unknown, TINY),
      (error) => error instanceof CheckpointError && error.message.includes('and 199996 more'),
    );
  });

  it('refuses a tensor map with anything but names and null, however large', () => {
    const tensors = [
      { name: 'a', shape: [C] },
      { name: 'constructor', shape: [C] },
      { name: 'b', shape: [C] },
    ];
    let deep: unknown = 0;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    for (const value of [5, true, {}, deep, 'x'.repeat(1e6), 'lm_head.weight\u0000', undefined]) {
      for (const name of ['a', 'constructor']) {
        assert.throws(
          () => resolveNames(tensors, { ...TINY, nLayer: 1 }, { [name]: value } as never),
          (error) =>
            error instanceof CheckpointError &&
            error.message.length < 300 &&
            error.message.endsWith(`, given for "${name}", is not a canonical name`),
        );
      }
    }
  });
});
