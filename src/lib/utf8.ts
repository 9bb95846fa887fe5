import type { EmergentError } from '../../reference/lib/errors.js';

/** Where text comes from. */
export interface TextSource {
  /** The name to use in messages. */
  readonly path: string;
  /** The class of the error to throw. */
  readonly Fault: new (message: string) => EmergentError;
}

/** Enough bytes to recognize an encoding by its byte order mark or its pattern of zeros. */
export const HEAD_BYTES = 64;

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const REPLACEMENT = [0xef, 0xbf, 0xbd];

/**
 * Decodes a whole text, strictly. A leading byte order mark is dropped.
 *
 * @throws Fault for bytes that are not UTF-8 text. The message names the encoding if it can be recognized.
 */
export function decodeUtf8(bytes: Uint8Array, source: TextSource): string {
  const start = headLength(bytes, source);
  return decodePart(bytes.subarray(start), start, source);
}

/**
 * The length of the byte order mark at the start of a text, or 0.
 *
 * @param head the first {@link HEAD_BYTES} of the text, or all that there are
 * @throws Fault if they are UTF-16 or UTF-32
 */
export function headLength(head: Uint8Array, { path, Fault }: TextSource): number {
  const encoding = wideEncoding(head);
  if (encoding) throw new Fault(`${path} is ${encoding}, not UTF-8; convert it with: iconv -f ${encoding} -t UTF-8`);
  return startsWith(head, BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

/** Decodes whole characters from the middle of a text, which begin at byte `offset` of it. */
export function decodePart(bytes: Uint8Array, offset: number, source: TextSource): string {
  const zero = bytes.indexOf(0);
  if (zero !== -1) throw new source.Fault(`${source.path} is not plain text: byte ${offset + zero} is NUL`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const wrong = firstWrong(bytes);
    throw notUtf8(bytes[wrong], offset + wrong, source);
  }
}

/** The error about a byte that is not UTF-8. */
export function notUtf8(byte: number, offset: number, { path, Fault }: TextSource): EmergentError {
  const hex = byte.toString(16).padStart(2, '0');
  return new Fault(
    `${path} is not UTF-8: byte ${offset} is 0x${hex}; if it is Latin-1, convert it with: iconv -f LATIN1 -t UTF-8`,
  );
}

export function startsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return bytes.length >= beginning.length && beginning.every((byte, i) => bytes[i] === byte);
}

/** UTF-16 or UTF-32, by the byte order mark or, without one, by where the zeros of ASCII characters are. */
function wideEncoding(head: Uint8Array): string | null {
  if (startsWith(head, [0xff, 0xfe, 0, 0]) || startsWith(head, [0, 0, 0xfe, 0xff])) return 'UTF-32';
  if (startsWith(head, [0xff, 0xfe]) || startsWith(head, [0xfe, 0xff])) return 'UTF-16';
  const zeros = [0, 0, 0, 0];
  const groups = Math.floor(Math.min(head.length, HEAD_BYTES) / 4);
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

/** The index of the first byte that is not UTF-8. */
function firstWrong(bytes: Uint8Array): number {
  const lenient = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let at = 0;
  for (const character of lenient) {
    const isReplaced = character === '\ufffd' && !startsWith(bytes.subarray(at, at + 3), REPLACEMENT);
    if (isReplaced) return at;
    at += encodedLength(character.codePointAt(0)!);
  }
  return at;
}

function encodedLength(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
