import { InputError } from '../../reference/lib/errors.js';
import { visible } from '../lib/quote.js';
import { decodePart, HEAD_BYTES, headLength, notUtf8, startsWith } from '../lib/utf8.js';

/**
 * Decodes UTF-8 text that arrives in pieces, strictly: a wrong encoding would silently give other tokens. A leading byte
 * order mark is dropped.
 *
 * @param name what to call the text in messages
 * @throws InputError for bytes that are not UTF-8 text. The message names the encoding if it can be recognized.
 */
export async function* decodeText(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string, void> {
  const source = { path: visible(name), Fault: InputError };
  let offset = 0;
  let held: Uint8Array = new Uint8Array(0); // the first bytes of a character whose other bytes are in the next piece
  for await (const piece of withFullHead(bytes)) {
    const joined = Buffer.concat([held, piece]);
    const start = offset === 0 ? headLength(joined, source) : 0;
    if (offset === 0) requireText(joined, source.path);
    const end = completeEnd(joined);
    const text = decodePart(joined.subarray(start, end), offset + start, source);
    held = joined.subarray(end);
    offset += end;
    if (text !== '') yield text;
  }
  if (held.length > 0) throw notUtf8(held[0], offset, source);
}

/** The same pieces, but the first one is at least as long as {@link HEAD_BYTES}, unless the text is shorter. */
async function* withFullHead(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let head: Uint8Array | null = new Uint8Array(0);
  for await (const piece of pieces) {
    if (!head) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < HEAD_BYTES) continue;
    yield head;
    head = null;
  }
  if (head && head.length > 0) yield head;
}

function requireText(head: Uint8Array, source: string): void {
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
