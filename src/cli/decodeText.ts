import { InputError } from '../../reference/lib/errors.js';
import { visible } from '../lib/quote.js';

/** Enough bytes to recognize an encoding by its byte order mark or its pattern of zeros. */
const HEAD = 64;

/**
 * Decodes UTF-8 text that arrives in pieces, strictly: a wrong encoding would silently give other tokens. A leading byte
 * order mark is dropped.
 *
 * @param name what to call the text in messages
 * @throws InputError for bytes that are not UTF-8 text. The message names the encoding if it can be recognized.
 */
export async function* decodeText(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string, void> {
  const source = visible(name);
  let offset = 0;
  let held: Uint8Array = new Uint8Array(0); // the first bytes of a character whose other bytes are in the next piece
  for await (const piece of withFullHead(bytes)) {
    const joined = Buffer.concat([held, piece]);
    if (offset === 0) requireTextHead(joined, source);
    const start = offset === 0 && startsWith(joined, [0xef, 0xbb, 0xbf]) ? 3 : 0;
    const end = completeEnd(joined);
    const text = decodeStrictly(joined.subarray(start, end), offset + start, source);
    held = joined.subarray(end);
    offset += end;
    if (text !== '') yield text;
  }
  if (held.length > 0) throw notUtf8(held[0], offset, source);
}

/** The same pieces, but the first one is at least as long as {@link HEAD}, unless the text is shorter. */
async function* withFullHead(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let head: Uint8Array | null = new Uint8Array(0);
  for await (const piece of pieces) {
    if (!head) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < HEAD) continue;
    yield head;
    head = null;
  }
  if (head && head.length > 0) yield head;
}

function requireTextHead(head: Uint8Array, source: string): void {
  const encoding = wideEncoding(head);
  if (encoding) {
    throw new InputError(`${source} is ${encoding}, not UTF-8; convert it with: iconv -f ${encoding} -t UTF-8`);
  }
  const format = FORMATS.find(({ magic }) => startsWith(head, magic));
  if (format) throw new InputError(`${source} is ${format.name}, not plain text`);
}

/** Formats that people mistake for text, by their first bytes. */
const FORMATS: readonly { name: string; magic: readonly number[] }[] = [
  { name: 'a gzip file', magic: [0x1f, 0x8b] },
  { name: 'a zip file, as .docx and .epub are', magic: [0x50, 0x4b, 0x03, 0x04] },
  { name: 'a PDF', magic: [0x25, 0x50, 0x44, 0x46, 0x2d] },
  { name: 'a Zstandard file', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'an xz file', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'an image (PNG)', magic: [0x89, 0x50, 0x4e, 0x47] },
  { name: 'an image (JPEG)', magic: [0xff, 0xd8, 0xff] },
];

/** UTF-16 or UTF-32, by the byte order mark or, without one, by where the zeros of ASCII characters are. */
function wideEncoding(head: Uint8Array): string | null {
  if (startsWith(head, [0xff, 0xfe, 0, 0]) || startsWith(head, [0, 0, 0xfe, 0xff])) return 'UTF-32';
  if (startsWith(head, [0xff, 0xfe]) || startsWith(head, [0xfe, 0xff])) return 'UTF-16';
  const zeros = [0, 0, 0, 0];
  const groups = Math.floor(Math.min(head.length, HEAD) / 4);
  for (let i = 0; i < 4 * groups; i++) if (head[i] === 0) zeros[i % 4]++;
  const isZero = zeros.map((count) => groups > 0 && count > groups / 2);
  const pattern = isZero.map((zero) => (zero ? '0' : 'x')).join('');
  return WIDE_PATTERNS[pattern] ?? null;
}

/** Which of four bytes are mostly zero. */
const WIDE_PATTERNS: Record<string, string | undefined> = {
  x0x0: 'UTF-16LE',
  '0x0x': 'UTF-16BE',
  x000: 'UTF-32LE',
  '000x': 'UTF-32BE',
};

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte);
}

/** The length without a character at the end that may be incomplete. */
function completeEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) break;
    if (byte < 0xc0) continue; // not the first byte of a character
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return back < length ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function decodeStrictly(bytes: Uint8Array, offset: number, source: string): string {
  const zero = bytes.indexOf(0);
  if (zero !== -1) {
    throw new InputError(`${source} is not plain text: byte ${offset + zero} is NUL`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const wrong = firstWrong(bytes);
    throw notUtf8(bytes[wrong], offset + wrong, source);
  }
}

/** The index of the first byte that is not UTF-8. */
function firstWrong(bytes: Uint8Array): number {
  const lenient = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let at = 0;
  for (const character of lenient) {
    const isReplaced = character === '\ufffd' && !startsWith(bytes.subarray(at, at + 3), [0xef, 0xbf, 0xbd]);
    if (isReplaced) return at;
    at += Buffer.byteLength(character);
  }
  return at;
}

function notUtf8(byte: number, offset: number, source: string): InputError {
  const hex = byte.toString(16).padStart(2, '0');
  return new InputError(
    `${source} is not UTF-8: byte ${offset} is 0x${hex}; if it is Latin-1, convert it with: iconv -f LATIN1 -t UTF-8`,
  );
}
