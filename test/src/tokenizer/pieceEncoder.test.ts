import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { TokenizerError } from '../../../src/lib/errors.js';
import { demoFolder } from '../../../src/load.js';
import { cutsOf } from '../../../src/tokenizer/cuts.js';
import { PieceEncoder } from '../../../src/tokenizer/pieceEncoder.js';
import { Tokenizer } from '../../../src/tokenizer/tokenizer.js';

/** The parts of a `tokenizer.json` that vary here. */
interface Parts {
  letters?: string[];
  merges?: [string, string][];
  added?: string[];
  model?: object;
  rest?: object;
}

function tokenizerJson({ letters = LETTERS, merges = [], added = [], model, rest }: Parts): object {
  const tokens = [...new Set(['<unk>', ...letters, ...merges.map((pair) => pair.join(''))])];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return {
    added_tokens: added.map((content, i) => ({ id: 1000 + i, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', unk_token: '<unk>', vocab, merges, ...model },
    ...rest,
  };
}

const LETTERS = ['a', 'b', 'c', ' ', '<', '😀', 'é'];

/** Merges that build on one another, in any order, several for one token among them. */
const mergeLists = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 14 }).chain((choices) => {
  const tokens = [...LETTERS];
  const merges = choices.map(([left, right]): [string, string] => {
    const pair: [string, string] = [tokens[left % tokens.length], tokens[right % tokens.length]];
    if (pair.join('').length < 12) tokens.push(pair.join(''));
    return pair;
  });
  return fc.shuffledSubarray(merges, { minLength: merges.length });
});

const ADDED = ['<s>', '<', 'aa', 'b c', '<ab', '😀a'];
const texts = fc
  .array(fc.constantFrom(...LETTERS, ...ADDED, 'x', '\n'), { maxLength: 120 })
  .map((parts) => parts.join(''));

/** The same text in chunks of random lengths, empty ones too. */
function chunked(text: string, lengths: readonly number[]): string[] {
  const chunks: string[] = [];
  let start = 0;
  for (const length of lengths) {
    chunks.push(text.slice(start, start + length));
    start += length;
  }
  return [...chunks, text.slice(start)];
}

// eslint-disable-next-line @typescript-eslint/require-await -- as streams are
async function* stream(chunks: readonly string[]): AsyncGenerator<string, void> {
  yield* chunks;
}

async function collect(pieces: AsyncIterable<number[]>): Promise<number[]> {
  const ids: number[] = [];
  for await (const more of pieces) ids.push(...more);
  return ids;
}

async function assertAsWhole(json: object, text: string, lengths: readonly number[]): Promise<void> {
  const whole = new HuggingFaceTokenizer(json, {}).encode(text).ids;
  const tokenizer = new Tokenizer(json, {});
  assert.deepEqual(tokenizer.encode(text), whole);
  assert.deepEqual(await collect(tokenizer.encodeChunks(stream(chunked(text, lengths)))), whole);
}

const chunkLengths = fc.array(fc.nat(9), { maxLength: 30 });

describe('encoding in pieces', () => {
  it('gives the ids of the whole text, for any merges and added tokens', () =>
    fc.assert(
      fc.asyncProperty(mergeLists, fc.subarray(ADDED), texts, chunkLengths, (merges, added, text, lengths) =>
        assertAsWhole(tokenizerJson({ merges, added }), text, lengths),
      ),
      { numRuns: 1500 },
    ));

  it('gives the ids of the whole text for the demo, which has merges for two halves of a token', async () => {
    const json = JSON.parse(await readFile(join(demoFolder(), 'tokenizer.json'), 'utf8')) as object;
    const book = await readFile(new URL('../../../reference/book/around.md', import.meta.url), 'utf8');
    await assertAsWhole(json, book.slice(0, 20_000), [1, 0, 1000, 65, 3, 7777]);
    const isCut = cutsOf(json, {})!;
    const cuts = Array.from(book).filter((_, i) => i > 0 && isCut(book, i)).length;
    assert.ok(cuts > book.length / 10, `${cuts} cuts in ${book.length} characters: prose has one every few characters`);
  });

  const preTokenizers = [
    { type: 'ByteLevel', add_prefix_space: true, use_regex: true },
    { type: 'ByteLevel', add_prefix_space: false },
    { type: 'Whitespace' },
    { type: 'WhitespaceSplit' },
    { type: 'BertPreTokenizer' },
  ];
  const words = fc
    .array(
      fc.constantFrom('ab', ' a', ' ', '  ', "'s", ' 1', '.', '\n', ' \n', 'é', ' é', '😀', ' B', '\u00a0', ADDED[3]),
      {
        maxLength: 60,
      },
    )
    .map((parts) => parts.join(''));
  for (const preTokenizer of preTokenizers) {
    it(`gives the ids of the whole text with ${JSON.stringify(preTokenizer)}`, () => {
      const letters = [...LETTERS, 'Ġ', 'B', '1', '.', 's', "'"];
      const merges: [string, string][] = [
        ['Ġ', 'a'],
        ['a', 'b'],
        ['Ġa', 'b'],
        ['b', 'Ġ'],
      ];
      const json = tokenizerJson({ letters, merges, added: ['b c'], rest: { pre_tokenizer: preTokenizer } });
      const isCut = cutsOf(json, {})!;
      assert.ok(isCut('a b', 1) && !isCut('a  b', 1) && !isCut('a  b', 2) && !isCut('b c', 1));
      return fc.assert(
        fc.asyncProperty(words, chunkLengths, (text, lengths) => assertAsWhole(json, text, lengths)),
        {
          numRuns: 300,
        },
      );
    });
  }

  it('gives the ids of the whole text for WordPiece', () => {
    const model = { type: 'WordPiece', continuing_subword_prefix: '##', max_input_chars_per_word: 100 };
    const letters = [...LETTERS, '##a', '##b', '##é', 'ab'];
    const json = tokenizerJson({ letters, model, rest: { pre_tokenizer: { type: 'BertPreTokenizer' } } });
    assert.ok(cutsOf(json, {})!('a b', 1));
    return fc.assert(
      fc.asyncProperty(words, chunkLengths, (text, lengths) => assertAsWhole(json, text, lengths)),
      {
        numRuns: 300,
      },
    );
  });

  const needWhole: [string, Parts, object?][] = [
    ['a normalizer', { rest: { normalizer: { type: 'NFC' } } }],
    ['tokens at the start', { rest: { post_processor: { type: 'TemplateProcessing', single: [], pair: [] } } }],
    ['fused unknowns', { model: { fuse_unk: true } }],
    ['ignored merges', { model: { ignore_merges: true } }],
    ['a suffix', { model: { end_of_word_suffix: '</w>' } }],
    [
      'a regex of its own',
      { rest: { pre_tokenizer: { type: 'Split', pattern: { Regex: '\\s+' }, behavior: 'Isolated' } } },
    ],
    ['one word', { rest: { pre_tokenizer: { type: 'ByteLevel', use_regex: false } } }],
    ['trimming', { rest: { added_tokens: [{ id: 1000, content: '<s>', rstrip: true }] } }],
    ['a trimmed text', {}, { remove_space: true }],
  ];
  for (const [what, parts, config = {}] of needWhole) {
    it(`encodes the whole text where a tokenizer has ${what}`, async () => {
      const json = tokenizerJson(parts);
      assert.equal(cutsOf(json, config), null);
      const text = 'ab ab  xx<s> <s>  ab ab ';
      const whole = new HuggingFaceTokenizer(json, config).encode(text).ids;
      const tokenizer = new Tokenizer(json, config);
      assert.deepEqual(await collect(tokenizer.encodeChunks(stream(chunked(text, [3, 3, 7])))), whole);
    });
  }

  it('yields ids before the text has ended, and reads no further', async () => {
    const json = tokenizerJson({ merges: [['a', 'b']] });
    let read = 0;
    // eslint-disable-next-line @typescript-eslint/require-await -- as streams are
    async function* endless(): AsyncGenerator<string, void> {
      for (;;) {
        read++;
        yield 'abc';
      }
    }
    for await (const ids of new Tokenizer(json, {}).encodeChunks(endless())) {
      assert.ok(ids.length > 0);
      if (read >= 3) break;
    }
    assert.equal(read, 3);
  });

  it('refuses an endless text without a cut', async () => {
    const isCut = cutsOf(tokenizerJson({ merges: [['a', 'a']] }), {});
    const encode = () => [];
    const run = new PieceEncoder(encode, isCut, 'x.json', 1000);
    const message = /^x\.json: the text has more than 1,000 characters in a row that must be encoded together$/;
    await assert.rejects(collect(run.encodeChunks(stream(chunked('a'.repeat(2000), [600, 600])))), (error: unknown) => {
      assert.ok(error instanceof TokenizerError);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await collect(run.encodeChunks(stream(chunked('ab'.repeat(1000), [600, 600])))), []);
    const words = cutsOf(tokenizerJson({ rest: { pre_tokenizer: { type: 'WhitespaceSplit' } } }), {});
    const letterByLetter = new PieceEncoder(encode, words, 'x.json', 5).encodeChunks(
      stream(Array.from('ab '.repeat(9))),
    );
    assert.deepEqual(await collect(letterByLetter), [], 'a cut that shows only with the next chunk is found');
    const whole = new PieceEncoder(encode, null, 'x.json', 1000);
    await assert.rejects(
      collect(whole.encodeChunks(stream(['ab'.repeat(1000)]))),
      /and this tokenizer must encode them together$/,
    );
  });

  it('cuts off the end of a text so that its ids stay', () =>
    fc.assert(
      fc.property(mergeLists, texts, fc.integer({ min: 1, max: 40 }), (merges, text, length) => {
        const tokenizer = new Tokenizer(tokenizerJson({ merges }), {});
        const whole = tokenizer.encode(text);
        let tail: string;
        try {
          tail = tokenizer.tail(text, length);
        } catch (error) {
          assert.match((error as Error).message, /must be encoded together/);
          return;
        }
        assert.ok(tail.length >= Math.min(length, text.length) && text.endsWith(tail));
        const ids = tokenizer.encode(tail);
        assert.deepEqual(ids, whole.slice(whole.length - ids.length));
      }),
    ));
});
