import assert from 'node:assert/strict';
import fc from 'fast-check';
import { demoFolder } from '../../src/load.js';
import { TextStream } from '../../src/textStream.js';
import { loadTokenizer } from '../../src/tokenizer/loadTokenizer.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';

const SURROGATE_PAIR = /^[\ud800-\udbff][\udc00-\udfff]$/;
const METASPACE = ['▁', '▁▁', '▁a', 'a', 'b', '▁the', '.', '�', 'é', '😀'];
const BYTE_TOKENS = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);

/** Each byte as a token, spelled with the printable characters that byte-level BPE uses for bytes (GPT-2). */
function byteLevelTokens(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let spare = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : spare++));
}

function makeTokenizer(tokens: readonly string[], decoder: object, model: object = {}): Tokenizer {
  const vocab = Object.fromEntries(['<unk>', '<pad>', 'a', ...tokens].map((token, id) => [token, id]));
  return new Tokenizer({
    added_tokens: [{ id: 1, content: '<pad>', special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: { type: 'BPE', unk_token: '<unk>', vocab, merges: [], ...model },
  });
}

const bytes = byteLevelTokens();
const joined = (...group: number[]) => group.map((b) => bytes[b]).join('');

const KINDS: Record<string, () => Tokenizer | Promise<Tokenizer>> = {
  'the demo': () => loadTokenizer(demoFolder()),
  'byte-level': () =>
    makeTokenizer([...bytes.filter((t) => t !== 'a'), joined(0xf0, 0x9f), joined(0x98, 0x80, 0xe2), joined(32, 97)], {
      type: 'ByteLevel',
    }),
  'byte-fallback': () =>
    makeTokenizer([...METASPACE, ...BYTE_TOKENS], {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    }),
  metaspace: () => makeTokenizer(METASPACE, { type: 'Metaspace', replacement: '▁' }),
  wordPiece: () =>
    makeTokenizer(['##a', '##b', 'b', '.', ',', "'", "n't", '##é', '�'], {
      type: 'WordPiece',
      prefix: '##',
      cleanup: true,
    }),
  'BPE with an end-of-word suffix': () =>
    makeTokenizer(['a</w>', 'b</w>', '</w>', 'b', '.</w>'], { type: 'BPEDecoder', suffix: '</w>' }),
  'BPE whose model has the suffix': () =>
    makeTokenizer(['a</w>', 'b</w>', '</w>', 'b'], { type: 'ByteLevel' }, { end_of_word_suffix: '</w>' }),
  'halves of surrogate pairs': () => makeTokenizer(['\ud83d', '\ude00', 'b', '\ufffd'], { type: 'Fuse' }),
};

type TokenCoder = Pick<Tokenizer, 'encode' | 'decode'>;

function stream(tokenizer: TokenCoder, ids: readonly number[]): string[] {
  const text = new TextStream(tokenizer);
  const pieces = ids.map((id) => text.push(id));
  return [...pieces, text.end()];
}

/** Random ids: over the whole vocabulary, and over the bytes of a few characters, so that whole characters occur. */
function idSequences(tokenizer: Tokenizer, kind: string): fc.Arbitrary<number[]> {
  let size = 0;
  while (tokenizer.token(size) !== `<${size}>`) size++;
  const anyIds = fc.array(fc.nat(size - 1), { maxLength: 60 });
  const runs = fc.array(fc.tuple(fc.nat(size - 1), fc.integer({ min: 1, max: 30 })), { maxLength: 5 });
  const repeated = runs.map((list) => list.flatMap(([id, count]) => new Array<number>(count).fill(id)));
  const idOf = new Map(Array.from({ length: size }, (_, id) => [tokenizer.token(id), id]));
  const alphabet = kind === 'byte-level' ? bytes : BYTE_TOKENS;
  if (!idOf.has(alphabet[0xe2])) return fc.oneof(anyIds, repeated);
  const text = fc.string({ unit: fc.constantFrom('é', '€', '😀', '\ufeff', 'b', ' '), maxLength: 40 });
  const whole = text.map((it) => [...new TextEncoder().encode(it)].map((b) => idOf.get(alphabet[b])!));
  const broken = fc.array(fc.constantFrom(0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0xef, 0xbb, 0xbf), {
    maxLength: 60,
  });
  return fc.oneof(
    anyIds,
    repeated,
    whole,
    broken.map((list) => list.map((b) => idOf.get(alphabet[b])!)),
  );
}

describe('textStream', () => {
  for (const [kind, open] of Object.entries(KINDS)) {
    it(`${kind}: the pieces join to the text of all ids`, async () => {
      const tokenizer = await open();
      fc.assert(
        fc.property(idSequences(tokenizer, kind), (ids) => {
          assert.equal(stream(tokenizer, ids).join(''), tokenizer.decode(ids));
        }),
        { numRuns: 300 },
      );
    });

    it(`${kind}: every piece is text that later tokens keep`, async () => {
      const tokenizer = await open();
      fc.assert(
        fc.property(idSequences(tokenizer, kind), (ids) => {
          const whole = tokenizer.decode(ids);
          let text = '';
          for (const piece of stream(tokenizer, ids).slice(0, -1)) {
            text += piece;
            assert.ok(whole.startsWith(text));
            assert.doesNotMatch(whole.slice(text.length - 1, text.length + 1), SURROGATE_PAIR, 'a pair is split');
          }
        }),
        { numRuns: 150 },
      );
    });

    it(`${kind}: the cost of an id does not grow with the text`, async () => {
      const tokenizer = await open();
      let decoded = 0;
      const counting: TokenCoder = {
        encode: (text) => tokenizer.encode(text),
        decode: (ids, options) => {
          decoded += ids.length;
          return tokenizer.decode(ids, options);
        },
      };
      const cost = (ids: readonly number[]) => {
        decoded = 0;
        stream(counting, ids);
        return decoded;
      };
      fc.assert(
        fc.property(fc.array(idSequences(tokenizer, kind), { minLength: 1, maxLength: 5 }), (lists) => {
          const ids = [2, ...lists.flat()];
          const long = new Array<number[]>(8).fill(ids).flat();
          assert.ok(cost(long) <= 40 * long.length, `${cost(long)} ids decoded for ${long.length}`);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('holds back the bytes of an unfinished character until it is whole', async () => {
    const tokenizer = await KINDS['byte-level']();
    const idOf = (b: number) => tokenizer.encode(bytes[b] === 'a' ? 'a' : bytes[b])[0];
    const text = new TextStream(tokenizer);
    assert.deepEqual(
      [0x62, 0xf0, 0x9f, 0x98, 0x80].map((b) => text.push(idOf(b))),
      ['b', '', '', '', '😀'],
    );
    assert.equal(text.push(idOf(0xc3)), '');
    assert.equal(text.end(), '\ufffd', 'its last byte never came');
  });

  it('decodes a run of invisible tokens in linear time', async () => {
    const pad = 1;
    for (const kind of ['byte-level', 'metaspace', 'wordPiece', 'BPE whose model has the suffix']) {
      const tokenizer = await KINDS[kind]();
      let decoded = 0;
      const text = new TextStream({
        encode: (it) => tokenizer.encode(it),
        decode: (ids) => {
          decoded += ids.length;
          return tokenizer.decode(ids);
        },
      });
      for (let i = 0; i < 5000; i++) text.push(pad);
      text.end();
      assert.ok(decoded < 20 * 5000, `${kind}: ${decoded} ids decoded`);
    }
  });

  it('joins the halves of a surrogate pair', async () => {
    const tokenizer = await KINDS['halves of surrogate pairs']();
    const text = new TextStream(tokenizer);
    assert.deepEqual([text.push(3), text.push(4), text.end()], ['', '😀', '']);
  });

  it('keeps a space that a decoder drops only at the start of a text', async () => {
    const tokenizer = await KINDS.metaspace();
    const [space, word] = [3, 5];
    assert.equal(tokenizer.token(word), '▁a');
    assert.deepEqual(stream(tokenizer, [word, word, space, word]), ['a', ' a', ' ', ' a', '']);
  });
});
