import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InputError } from '../../../reference/lib/errors.js';
import { decodeText } from '../../../src/cli/decodeText.js';

/** Decodes bytes that arrive in pieces of the given size. */
async function decode(bytes: Uint8Array, size = 1 << 16): Promise<string> {
  // eslint-disable-next-line @typescript-eslint/require-await -- as streams are
  async function* pieces(): AsyncGenerator<Uint8Array, void> {
    for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
  }
  let text = '';
  for await (const piece of decodeText(pieces(), 'book.txt')) text += piece;
  return text;
}

async function refuses(bytes: readonly number[] | Uint8Array, message: RegExp): Promise<void> {
  for (const size of [1, 3, 100, 1 << 16]) {
    await assert.rejects(decode(Uint8Array.from(bytes), size), (error: unknown) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, message);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  }
}

function utf16(text: string, mark: boolean): Buffer {
  return Buffer.from(`${mark ? '\ufeff' : ''}${text}`, 'utf16le');
}

describe('decodeText', () => {
  const alphabet = fc.constantFrom(
    'a',
    '\n',
    'é',
    'ह',
    '漢',
    '😀',
    '\ufeff',
    '\ufffd',
    '\u0080',
    '\uffff',
    '\u{10ffff}',
  );
  const texts = fc.array(alphabet, { maxLength: 150 }).map((parts) => parts.join(''));

  it('gives every UTF-8 text, wherever its bytes are split', () =>
    fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 80 }), async (text, size) => {
        const body = text.replace(/^\ufeff+/, '');
        assert.equal(await decode(Buffer.from(body), size), body);
        assert.equal(await decode(Buffer.from(`\ufeff${body}`), size), body, 'without its byte order mark');
      }),
    ));

  it('drops one byte order mark, at the start only', async () => {
    assert.equal(await decode(Buffer.from('\ufeff\ufeffa\ufeff')), '\ufeffa\ufeff');
    assert.equal(await decode(Buffer.from('\ufeff')), '');
    assert.equal(await decode(Buffer.from('')), '');
  });

  it('names UTF-16 and UTF-32, with and without a byte order mark', async () => {
    const text = 'Question: What is the capital of Japan?';
    const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();
    const utf32 = Buffer.from(Uint32Array.from(text, (letter) => letter.codePointAt(0)!).buffer);
    await refuses(utf16(text, true), /^book\.txt is UTF-16, not UTF-8; convert it with: iconv -f UTF-16 -t UTF-8$/);
    await refuses(swapped(utf16(text, true)), /is UTF-16, .*iconv -f UTF-16 /);
    await refuses(utf16(text, false), /is UTF-16LE, .*iconv -f UTF-16LE /);
    await refuses(swapped(utf16(text, false)), /is UTF-16BE, .*iconv -f UTF-16BE /);
    await refuses(Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0]), utf32]), /is UTF-32, .*iconv -f UTF-32 /);
    await refuses(utf32, /is UTF-32LE, .*iconv -f UTF-32LE /);
    await refuses(Buffer.from(utf32).swap32(), /is UTF-32BE, .*iconv -f UTF-32BE /);
    await refuses(utf16('Hi', true), /is UTF-16, /);
    await refuses(utf16('Hi', false), /is UTF-16LE, /);
  });

  it('names Latin-1 as the likely encoding, and the first wrong byte', async () => {
    const message = (at: number, hex: string) =>
      new RegExp(`^book\\.txt is not UTF-8: byte ${at} is 0x${hex}; if it is Latin-1, .* iconv -f LATIN1 -t UTF-8$`);
    await refuses(Buffer.from('Côte d’Ivoire'.replace('’', "'"), 'latin1'), message(1, 'f4'));
    await refuses(Buffer.from('café', 'latin1'), message(3, 'e9'));
    await refuses([0xef, 0xbb, 0xbf, 0x61, 0xe9, 0x62], message(4, 'e9'));
    await refuses([...Buffer.from('é\ufffd'.repeat(40)), 0xe7, 0x61], message(200, 'e7'));
  });

  const invalid: [string, number[]][] = [
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a number over 0x10ffff', [0xf4, 0x90, 0x80, 0x80]],
    ['a lone continuation', [0x80]],
    ['a character that never ends', [0xf0, 0x9f, 0x98]],
    ['a byte that never occurs', [0xff]],
  ];
  for (const [what, bytes] of invalid) {
    it(`refuses ${what}, in the middle and at the end`, async () => {
      await refuses([0x61, ...bytes, 0x62, 0x63], /^book\.txt is not UTF-8: byte 1 is 0x/);
      await refuses([0x61, ...bytes], /^book\.txt is not UTF-8: byte 1 is 0x/);
    });
  }

  it('names files that are not text', async () => {
    await refuses([0x1f, 0x8b, 8, 0, 0, 0, 0, 0], /^book\.txt is a gzip file, not plain text$/);
    await refuses(
      [0x50, 0x4b, 3, 4, 20, 0, 6, 0],
      /^book\.txt is a zip file, as \.docx and \.epub are, not plain text$/,
    );
    await refuses(Buffer.from('%PDF-1.7\n'), /^book\.txt is a PDF, not plain text$/);
    await refuses(Buffer.from(`${'a'.repeat(70)}\0b`), /^book\.txt is not plain text: byte 70 is NUL$/);
    await refuses(new Uint8Array(100), /^book\.txt is not plain text: byte 0 is NUL$/);
  });
});
