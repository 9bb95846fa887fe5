import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { TokenizerError } from '../../../src/lib/errors.js';
import { buildTokenizer, BVV241, compactLayout } from '../../../src/tokenizer/build.js';
import { Tokenizer } from '../../../src/tokenizer/tokenizer.js';
import { skip } from '../../support/setup.js';

interface Bpe {
  model: { vocab: Record<string, number | undefined>; merges: [string, string][] };
}

const COUNTS = [
  {
    lang: 'a',
    unigrams: [
      ['é', 3],
      ['h', 1], // already a token, so it must not get a second id
    ],
    bigrams: [
      ['he', 9],
      ['th', 8],
      ['el', 2],
    ],
    trigrams: [
      ['the', 5],
      ['xyz', 1],
    ],
  },
  {
    lang: 'b',
    bigrams: [
      ['he', 1],
      ['lo', 1],
    ],
    trigrams: [['hel', 1]],
  },
];

/** The published n-gram list is not part of this repository. */
const PUBLISHED = process.env.EMERGENT_NGRAMS ?? '../shared/data/ngrams-2-3.json';

describe('buildTokenizer', () => {
  const compact = buildTokenizer(COUNTS, compactLayout(256, 10));
  const { model } = compact['tokenizer.json'] as Bpe;

  it('assigns ids to ASCII, special tokens and n-grams, longest first and then by code points', () => {
    assert.equal(model.vocab.A, 65);
    assert.deepEqual([model.vocab['<pad>'], model.vocab['</s>'], model.vocab['<special_token_31>']], [128, 130, 159]);
    const grams = Object.entries(model.vocab)
      .filter(([, id]) => id! >= 160 && id! < 168)
      .map(([gram]) => gram);
    assert.deepEqual(grams, ['hel', 'the', 'xyz', 'el', 'he', 'lo', 'th', 'é']);
    assert.equal(model.vocab['<unused_168>'], 168);
    assert.deepEqual(
      Object.values(model.vocab).sort((a, b) => a! - b!),
      Array.from({ length: 256 }, (_, id) => id),
    );
  });

  it('merges every pair of tokens that forms an n-gram, in the order of the n-grams', () => {
    // prettier-ignore
    assert.deepEqual(model.merges, [
      ['h', 'el'], ['he', 'l'], ['t', 'he'], ['th', 'e'],
      ['e', 'l'], ['h', 'e'], ['l', 'o'], ['t', 'h'],
    ]);
  });

  it('decodes what it encodes, for any text in its alphabet', () => {
    const tokenizer = new Tokenizer(compact['tokenizer.json'], compact['tokenizer_config.json']);
    const alphabet = fc.constantFrom(
      ...Array.from({ length: 128 }, (_, id) => String.fromCharCode(id)),
      'é',
      'he',
      'the',
      'hello',
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
      }),
    );
    assert.deepEqual(tokenizer.encode('ü'), [131], 'other characters are <unk>');
  });

  it('selects the most frequent n-grams of each language', () => {
    const { vocab } = (buildTokenizer(COUNTS, compactLayout(256, 1))['tokenizer.json'] as Bpe).model;
    assert.deepEqual(
      ['he', 'th', 'the', 'hel', 'xyz'].map((gram) => gram in vocab),
      [true, false, true, true, false],
    );
  });

  it('rejects malformed counts and too many n-grams', () => {
    const bad: [unknown, RegExp][] = [
      [null, /ngrams\.json: expected a list of/],
      [[], /expected a list of/],
      [[{ lang: 'a', bigrams: [] }], /entry 0 has no trigrams/],
      [
        [{ lang: 'a', bigrams: [['abc', 1]], trigrams: [] }],
        /entry 0, bigrams: \["abc",1\] is not \[string of 2, count\]/,
      ],
      [[{ lang: 'a', bigrams: [['ab', -1]], trigrams: [] }], /entry 0, bigrams/],
      [[{ lang: 'a', bigrams: ['ab'], trigrams: [] }], /entry 0, bigrams/],
      [[null], /entry 0 has no bigrams/],
      [[{ lang: 'a', bigrams: [], trigrams: [], unigrams: null }], /entry 0 has no unigrams/],
      [[{ lang: 'a', bigrams: [['x'.repeat(1e6), 1]], trigrams: [] }], /entry 0, bigrams: \["x+… is not \[string of 2/],
      [[{ lang: 'a', bigrams: [['a\uffff', 1]], trigrams: [] }], /contains U\+FFFF or half of a surrogate pair/],
      [[{ lang: 'a', bigrams: [['\ud800b', 1]], trigrams: [] }], /"\\ud800b",1\] contains U\+FFFF or half/],
      [[{ lang: 'a', bigrams: [], trigrams: [['ab\udc00', 1]] }], /entry 0, trigrams: .* contains U\+FFFF or half/],
      [[{ lang: 'a', bigrams: [], trigrams: [], unigrams: [['\uffff', 1]] }], /entry 0, unigrams: .* contains/],
    ];
    for (const [counts, message] of bad) {
      assert.throws(
        () => buildTokenizer(counts, BVV241, 'ngrams.json'),
        (error) => error instanceof TokenizerError && message.test(error.message) && error.message.length < 300,
      );
    }
    const pairs = [{ lang: 'a', bigrams: [['😀b', 1]], trigrams: [['\ufffe日b', 1]] }]; // whole pairs, other noncharacters
    assert.ok(buildTokenizer(pairs, compactLayout(256, 1)));
    const many = Array.from({ length: 97 }, (_, i) => [String.fromCharCode(0x100 + i, 65), 1]);
    assert.throws(
      () => buildTokenizer([{ lang: 'a', bigrams: many, trigrams: [] }], compactLayout(256, 100)),
      /97 n-grams do not fit into 96 ids/,
    );
    assert.throws(() => compactLayout(255, 1), TokenizerError);
  });

  describe('with the published n-grams', () => {
    let published: ReturnType<typeof buildTokenizer>;
    before(function () {
      if (!existsSync(PUBLISHED)) {
        skip(this, 'the published n-gram list was not found; set EMERGENT_NGRAMS=FILE');
      }
      published = buildTokenizer(JSON.parse(readFileSync(PUBLISHED, 'utf8')));
    });

    it('rebuilds bvv241-2-3: 65,536 tokens, 12,224 merges, 15 unused ids', () => {
      const { vocab, merges } = (published['tokenizer.json'] as Bpe).model;
      assert.equal(Object.keys(vocab).length, 65536);
      assert.equal(merges.length, 12224);
      const unused = Array.from({ length: 0xf900 - 0xe100 }, (_, i) => vocab[`<unused_${0xe100 + i}>`]).filter(
        (id) => id !== undefined,
      );
      assert.deepEqual(
        unused,
        Array.from({ length: 15 }, (_, i) => 0xf8f1 + i),
      );
    });

    it('tokenizes the published example', () => {
      const tokenizer = new Tokenizer(published['tokenizer.json'], published['tokenizer_config.json']);
      assert.deepEqual(tokenizer.encode('hello the test'), [104, 56035, 111, 32, 57811, 32, 116, 56117]);
      assert.deepEqual(
        tokenizer.encode('a😀'),
        [97, 57347],
        'characters outside the Basic Multilingual Plane are <unk>',
      );
      assert.deepEqual(tokenizer.encode('\ufffe\uffff'), [65534, 57347], 'U+FFFF has no token');
      assert.equal(tokenizer.eosId, 57346);
    });

    it('decodes what it encodes, for any text in the Basic Multilingual Plane', () => {
      const tokenizer = new Tokenizer(published['tokenizer.json'], published['tokenizer_config.json']);
      const character = fc.integer({ min: 0, max: 0xd7ff }).map((code) => String.fromCharCode(code));
      const text = fc.array(fc.oneof(character, fc.constantFrom('the ', 'he', 'tion', '日本', ' .')), {
        maxLength: 40,
      });
      fc.assert(
        fc.property(text, (pieces) => {
          assert.equal(tokenizer.decode(tokenizer.encode(pieces.join(''))), pieces.join(''));
        }),
      );
    });
  });
});
