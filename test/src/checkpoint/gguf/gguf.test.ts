import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf, GGMLQuantizationType } from '@huggingface/gguf';
import { InputError } from '../../../../reference/lib/errors.js';
import type { Model } from '../../../../reference/lib/weights.js';
import { repeatInterleave } from '../../../../reference/repeatInterleave.js';
import { packBlocks, type GgufType } from '../../../../src/checkpoint/gguf/blocks.js';
import { bytesOf, encodeGguf } from '../../../../src/checkpoint/gguf/container.js';
import { toNeox } from '../../../../src/checkpoint/gguf/neox.js';
import { vocabularyMetadata } from '../../../../src/checkpoint/gguf/vocabulary.js';
import { tinyModel } from '../../../support/arbitraries.js';
import { emergent } from '../../../support/cli.js';

interface Blocks {
  values: number[];
  expected: Record<'f16' | 'q8_0' | 'q4_0', string>;
}

const blocks = JSON.parse(readFileSync(new URL('blocks.json', import.meta.url), 'utf8')) as Blocks;

/** A model without a bias of its head, which gptneox can hold. */
function withoutHeadBias(model: Model): Model {
  return { ...model, weights: { ...model.weights, lmHead: { ...model.weights.lmHead, bias: null } } };
}

async function written(metadata: Parameters<typeof encodeGguf>[0], tensors: Parameters<typeof encodeGguf>[1]) {
  const folder = await mkdtemp(join(tmpdir(), 'emergent-'));
  const file = join(folder, 'model.gguf');
  const bytes = Buffer.concat([...encodeGguf(metadata, tensors)]);
  await writeFile(file, bytes);
  try {
    return { bytes, parsed: await gguf(file, { allowLocalFile: true }) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('GGUF', () => {
  for (const type of ['f16', 'q8_0', 'q4_0'] as const) {
    it(`packs ${type} to the bytes of Python's gguf`, () => {
      const packed = packBlocks(type, Float32Array.from(blocks.values));
      assert.equal(Buffer.from(packed).toString('hex'), blocks.expected[type]);
    });
  }

  it('is read by an independent parser: metadata, names, shapes and types', async () => {
    const model = withoutHeadBias(tinyModel({ dModel: 32, nHead: 4, nEmbed: 8 }));
    const { config } = model;
    const { metadata, tensors } = toNeox(model, 'q8_0');
    const { parsed } = await written(metadata, tensors);
    const read = parsed.metadata as unknown as Record<string, unknown>;
    assert.equal(read['general.architecture'], 'gptneox');
    assert.equal(read['gptneox.block_count'], config.nLayer);
    assert.equal(read['gptneox.use_parallel_residual'], false);
    assert.equal(read['gptneox.rope.freq_base'], config.ropeTheta);
    assert.equal(parsed.tensorInfos.length, 4 + 12 * config.nLayer);
    const byName = new Map(parsed.tensorInfos.map((info) => [info.name, info]));
    const qkv = byName.get('blk.1.attn_qkv.weight');
    assert.ok(qkv);
    assert.deepEqual(qkv.shape, [32n, 96n]); // the fastest dimension first
    assert.equal(qkv.dtype, GGMLQuantizationType.Q8_0);
    assert.equal(byName.get('output_norm.bias')?.dtype, GGMLQuantizationType.F32);
  });

  it('holds the numbers of the model where the header says', async () => {
    const model = withoutHeadBias(tinyModel());
    const { dModel: C, nEmbed: E } = model.config;
    const { metadata, tensors } = toNeox(model, 'f32');
    const { bytes, parsed } = await written(metadata, tensors);
    function numbers(name: string, count: number): Float32Array {
      const info = parsed.tensorInfos.find((each) => each.name === name);
      assert.ok(info, name);
      const start = Number(parsed.tensorDataOffset + info.offset);
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + start + 4 * count));
    }
    const { blocks, embedding, lmHead } = model.weights;
    const last = blocks.at(-1)!;
    const expanded = repeatInterleave(embedding, C / E).data;
    assert.deepEqual(numbers('token_embd.weight', expanded.length), expanded);
    assert.deepEqual(numbers('output.weight', lmHead.weight.data.length), lmHead.weight.data);
    const qkv = numbers(`blk.${blocks.length - 1}.attn_qkv.weight`, 3 * C * C);
    assert.deepEqual(qkv.slice(C * C, 2 * C * C), last.kProj.weight.data);
    assert.deepEqual(numbers(`blk.${blocks.length - 1}.attn_qkv.bias`, 3 * C), new Float32Array(3 * C));
    assert.deepEqual(numbers(`blk.${blocks.length - 1}.ffn_down.weight`, 4 * C * C), last.ffnDown.weight.data);
  });

  it('keeps float16 for rows that are no multiple of a block, and says its sizes', () => {
    const { tensors } = toNeox(withoutHeadBias(tinyModel()), 'q4_0'); // C = 16
    const types = new Map(tensors.map(({ name, type }): [string, GgufType] => [name, type]));
    assert.equal(types.get('blk.0.attn_output.weight'), 'f16');
    assert.equal(types.get('blk.0.ffn_down.weight'), 'q4_0'); // 4C = 64
    for (const tensor of tensors) assert.equal(tensor.make().length, bytesOf(tensor));
  });

  it('refuses what gptneox cannot hold, and names it', () => {
    const model = tinyModel();
    assert.throws(() => toNeox(model, 'f32'), /no bias of the head, but this model's reaches .*--drop-head-bias/);
    assert.equal(toNeox(model, 'f32', { dropHeadBias: true }).warnings.length, 2);
    for (const [config, fault] of [
      [{ ropePairing: 'interleaved' }, /rope_pairing is interleaved/],
      [{ normPosition: 'post' }, /no post-norm/],
    ] as const) {
      assert.throws(
        () => toNeox(withoutHeadBias(tinyModel(config)), 'f32'),
        (error: unknown) => error instanceof InputError && fault.test(error.message),
      );
    }
    const bare = withoutHeadBias(model);
    assert.throws(
      () => toNeox({ ...bare, weights: { ...bare.weights, finalNorm: null } }, 'f32'),
      /needs a final LayerNorm/,
    );
  });

  it("writes tokens in GPT-2's alphabet of bytes, and merges that form characters of several bytes", () => {
    const vocabulary = {
      tokens: ['a', ' ', '\n', 'é', ' a', '</s>'],
      merges: [[' ', 'a']] as const,
      special: new Set([5]),
    };
    const metadata = vocabularyMetadata(vocabulary, 5);
    assert.deepEqual(metadata['tokenizer.ggml.tokens'], { strings: ['a', 'Ġ', 'Ċ', 'Ã©', 'Ġa', '</s>'] });
    assert.deepEqual(metadata['tokenizer.ggml.merges'], { strings: ['Ã ©', 'Ġ a'] });
    assert.deepEqual(metadata['tokenizer.ggml.token_type'], { i32s: [1, 1, 1, 1, 1, 3] });
    assert.deepEqual(metadata['tokenizer.ggml.eos_token_id'], { u32: 5 });
  });

  it('comes from a command, which checks its options before it works and leaves nothing behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'emergent-gguf-'));
    const out = join(folder, 'demo.gguf');
    const convert = (...options: string[]) => emergent(['convert', '--to', 'gguf', '--out', out, ...options]);
    try {
      const biased = await convert('--dtype', 'f16');
      assert.equal(biased.code, 2);
      assert.match(biased.stderr, /^emergent: gguf: 'gptneox' has no bias of the head, [^\n]*\n$/);
      const wrong = await convert('--dtype', 'int8');
      assert.equal(wrong.stderr, 'emergent: --to gguf writes f32, f16, q8_0, q4_0, not int8\n');
      assert.deepEqual(await readdir(folder), []);

      const right = await convert('--dtype', 'q4_0', '--drop-head-bias');
      assert.equal(right.code, 0, right.stderr);
      assert.match(right.stderr, /llama\.cpp computes GELU by its tanh form/);
      const { metadata } = await gguf(out, { allowLocalFile: true });
      const tokens = (metadata as unknown as Record<string, string[]>)['tokenizer.ggml.tokens'];
      assert.equal(tokens.length, 1024);
      assert.equal(tokens[251], 'Que'); // the first token of "Question: …"
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
