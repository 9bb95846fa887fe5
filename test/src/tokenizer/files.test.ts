import assert from 'node:assert/strict';
import { memorySource } from '../../../src/folder/byteSource.js';
import type { Folder } from '../../../src/folder/folder.js';
import { ConfigError, TokenizerError } from '../../../src/lib/errors.js';
import { buildTokenizer, compactLayout } from '../../../src/tokenizer/build.js';
import { readTokenizer } from '../../../src/tokenizer/readTokenizer.js';
import { Tokenizer } from '../../../src/tokenizer/tokenizer.js';

const built = buildTokenizer([{ lang: 'x', bigrams: [['ab', 1]], trigrams: [] }], compactLayout(256, 1));
const TOKENIZER = built['tokenizer.json'] as { model: Record<string, unknown>; added_tokens: object[] };
/** The ids of special tokens in the compact layout begin at 128. */
const [PAD, BOS, EOS] = [128, 129, 130];

type Files = Record<string, unknown>;

function read(files: Files): Promise<Tokenizer> {
  const all: Files = { 'tokenizer.json': TOKENIZER, ...files };
  const folder: Folder = {
    name: 'm',
    files: null,
    pathOf: (file) => `m/${file}`,
    open: (file) => {
      const json = all[file];
      return Promise.resolve(json === undefined ? null : memorySource(new TextEncoder().encode(JSON.stringify(json))));
    },
  };
  return readTokenizer(folder);
}

function withModel(change: object): object {
  return { ...TOKENIZER, model: { ...TOKENIZER.model, ...change } };
}

describe('end-of-text tokens', () => {
  const found: [string, Files, number[]][] = [
    ['no file names one', {}, [EOS]],
    ['tokenizer_config.json', { 'tokenizer_config.json': { eos_token: '<s>' } }, [BOS]],
    ['an object', { 'tokenizer_config.json': { eos_token: { content: '<s>', lstrip: false } } }, [BOS]],
    ['null, as if absent', { 'tokenizer_config.json': { eos_token: null } }, [EOS]],
    ['special_tokens_map.json', { 'special_tokens_map.json': { eos_token: { content: '<pad>' } } }, [PAD]],
    ['config.json', { 'config.json': { eos_token_id: BOS } }, [BOS]],
    ['id 0', { 'config.json': { eos_token_id: 0 } }, [0]],
    ['generation_config.json', { 'generation_config.json': { eos_token_id: PAD } }, [PAD]],
    ['a list', { 'generation_config.json': { eos_token_id: [PAD, BOS, PAD] } }, [PAD, BOS]],
    [
      'all four, of which one is null',
      {
        'tokenizer_config.json': { eos_token: '</s>' },
        'special_tokens_map.json': { eos_token: '<s>' },
        'generation_config.json': { eos_token_id: [EOS, 65] },
        'config.json': { eos_token_id: null },
      },
      [EOS, BOS, 65],
    ],
    ['only null', { 'special_tokens_map.json': { eos_token: null }, 'config.json': {} }, [EOS]],
  ];
  for (const [what, files, ids] of found) {
    it(`are the union of what the files name: ${what}`, async () => {
      const tokenizer = await read(files);
      assert.deepEqual(tokenizer.eosIds, ids);
      assert.equal(tokenizer.eosId, ids[0]);
      assert.deepEqual(tokenizer.warnings, []);
    });
  }

  it('are warned of when the vocabulary lacks them', async () => {
    const tokenizer = await read({
      'tokenizer_config.json': { eos_token: '<\u001b>' },
      'generation_config.json': { eos_token_id: [EOS, 256, -1] },
    });
    assert.deepEqual(tokenizer.eosIds, [EOS]);
    assert.deepEqual(tokenizer.warnings, [
      'm/tokenizer_config.json: the end-of-text token "<\\u001b>" is not in the vocabulary',
      'm/generation_config.json: the end-of-text token 256 is not in the vocabulary',
      'm/generation_config.json: the end-of-text token -1 is not in the vocabulary',
    ]);
    const none = await read({ 'config.json': { eos_token_id: 999 } });
    assert.deepEqual([none.eosIds, none.eosId, none.warnings.length], [[], undefined, 1]);
  });

  const faults: [Files, RegExp][] = [
    [{ 'tokenizer_config.json': { eos_token: 5 } }, /tokenizer_config\.json: "eos_token" must be a token or an object/],
    [{ 'tokenizer_config.json': { eos_token: {} } }, /"eos_token" must be a token or/],
    [{ 'tokenizer_config.json': [] }, /tokenizer_config\.json: it must be a JSON object, got \[\]/],
    [{ 'special_tokens_map.json': { eos_token: ['</s>'] } }, /special_tokens_map\.json: "eos_token" must be/],
    [{ 'special_tokens_map.json': 'x' }, /special_tokens_map\.json: it must be/],
    [{ 'generation_config.json': { eos_token_id: '2' } }, /generation_config\.json: "eos_token_id" must be a token id/],
    [{ 'generation_config.json': { eos_token_id: [2, null] } }, /"eos_token_id" must be/],
    [{ 'generation_config.json': { eos_token_id: 1.5 } }, /"eos_token_id" must be/],
    [{ 'config.json': { eos_token_id: {} } }, /config\.json: "eos_token_id" must be/],
  ];
  for (const [files, message] of faults) {
    it(`are refused: ${JSON.stringify(files)}`, () =>
      assert.rejects(
        read(files),
        (error) =>
          error instanceof ('config.json' in files ? ConfigError : TokenizerError) && message.test(error.message),
      ));
  }
});

describe('tokenizer settings', () => {
  const word = { id: 200, content: 'ab', single_word: true };
  const template = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: {},
  };
  const warned: [string, Files, RegExp[]][] = [
    ['truncation', { 'tokenizer.json': { ...TOKENIZER, truncation: { max_length: 2 } } }, [/"truncation" is ignored/]],
    ['padding', { 'tokenizer.json': { ...TOKENIZER, padding: { pad_id: 0 } } }, [/"padding" is ignored/]],
    ['dropout', { 'tokenizer.json': withModel({ dropout: 0.1 }) }, [/"model\.dropout" is ignored/]],
    [
      'single_word',
      { 'tokenizer.json': { ...TOKENIZER, added_tokens: [...TOKENIZER.added_tokens, word] } },
      [/^m\/tokenizer\.json: "single_word" of "ab" is ignored/],
    ],
    [
      'added bos and eos',
      { 'tokenizer_config.json': { add_bos_token: true, add_eos_token: true } },
      [/^m\/tokenizer_config\.json: "add_bos_token" is ignored/, /"add_eos_token" is ignored/],
    ],
    ['split_special_tokens', { 'tokenizer_config.json': { split_special_tokens: true } }, [/is ignored/]],
    ['clean-up', { 'tokenizer_config.json': { clean_up_tokenization_spaces: true } }, [/is ignored/]],
    [
      'nothing',
      {
        'tokenizer.json': { ...withModel({ dropout: 0, continuing_subword_prefix: '' }), post_processor: template },
        'tokenizer_config.json': { add_bos_token: true, add_eos_token: false, clean_up_tokenization_spaces: false },
      },
      [],
    ],
  ];
  for (const [what, files, messages] of warned) {
    it(`are warned of when ignored: ${what}`, async () => {
      const { warnings } = await read(files);
      assert.equal(warnings.length, messages.length);
      messages.forEach((message, i) => assert.match(warnings[i], message));
    });
  }

  let deep: unknown = 0;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  const faults: [string, unknown, RegExp][] = [
    [
      'a prefix for BPE',
      withModel({ continuing_subword_prefix: '##' }),
      /"model\.continuing_subword_prefix" "##" is not/,
    ],
    ['the same without a type', withModel({ type: undefined, continuing_subword_prefix: '##' }), /is not supported/],
    ['an unknown model', withModel({ type: 'Words' }), /"model\.type" "Words" is not supported/],
    ['BPE without merges', withModel({ merges: null }), /"model\.merges" is missing/],
    ['a vocabulary of strings', withModel({ vocab: { a: '1' } }), /"model\.vocab" must map tokens to ids/],
    ['a negative id', withModel({ vocab: { constructor: -1 } }), /"model\.vocab" must map tokens to ids/],
    ['mixed merges', withModel({ merges: ['a b', ['a', 'b']] }), /"model\.merges" must be a list of pairs/],
    ['a deep merge', withModel({ merges: [deep] }), /"model\.merges" must be a list of pairs/],
    ['an unk_token of another type', withModel({ unk_token: 3 }), /"model\.unk_token" must be a token, got 3/],
    [
      'an added token without an id',
      { ...TOKENIZER, added_tokens: [{ content: 'x' }] },
      /"added_tokens\.0\.id" is missing/,
    ],
    ['an added token of null', { ...TOKENIZER, added_tokens: [null] }, /"added_tokens\.0" must be an object/],
    ['no model', { added_tokens: [] }, /"model" is missing/],
    ['a list', [], /it must be a JSON object/],
  ];
  for (const [what, json, message] of faults) {
    it(`are refused: ${what}`, () =>
      assert.throws(
        () => new Tokenizer(json, {}, 'm/tokenizer.json'),
        (error) =>
          error instanceof TokenizerError &&
          message.test(error.message) &&
          error.message.startsWith('m/tokenizer.json: ') &&
          error.message.length < 300,
      ));
  }

  it('leave no token without an id', () => {
    const model = { type: 'WordLevel', vocab: { a: 0 } };
    const words = new Tokenizer({ ...TOKENIZER, model, pre_tokenizer: { type: 'Whitespace' } }, {}, 't.json');
    assert.deepEqual(words.encode('a a'), [0, 0]);
    assert.throws(() => words.encode('a b'), /^TokenizerError: t\.json: no token for "b", and no unk_token$/);
  });

  it('name the file when its decoder fails', () => {
    const tokenizer = new Tokenizer({ ...TOKENIZER, decoder: { type: 'Sequence', decoders: [null] } }, {}, 't.json');
    assert.throws(() => tokenizer.decode([65]), /^TokenizerError: t\.json: cannot decode 1 ids: /);
  });

  it('take a text of any length', () => {
    const tokenizer = new Tokenizer(TOKENIZER);
    assert.equal(tokenizer.encode('c'.repeat(200_000)).length, 200_000);
    assert.equal(tokenizer.decode(tokenizer.encode('ab'.repeat(100_000))).length, 200_000);
  });
});
