/**
 * Recognizes files that often have the name of a model's file and the contents of something else, by their first bytes.
 */

/** Bytes at the start of a file that {@link recognize} looks at. */
export const RECOGNIZED_BYTES = 512;

/** What a file begins with, what it then is, and the way out. */
const KINDS: readonly (readonly [beginning: string, description: string])[] = [
  [
    'version https://git-lfs.github.com/spec/',
    'this is a Git LFS pointer, not the file itself: run git lfs pull in its repository, or download the file again',
  ],
  ['GGUF', 'this is a GGUF file, which is not read here: use the model.safetensors that it was made from'],
  ['PK\u0003\u0004', 'this is a zip archive; if PyTorch wrote it, emergent import FILE --out DIR reads it'],
  ['\u001f\u008b', 'this is compressed with gzip: decompress it first'],
];

const PICKLED =
  'this is a Python pickle, which can run code when read: rewrite it in Python with torch.save(torch.load(path, weights_only=True), path), which emergent import FILE --out DIR reads';

const HTML = /^\s*<(?:!doctype html|html|head|!--|\?xml)/i;
const WEB_PAGE =
  'this is a web page (HTML), not the file itself: the address or the login is probably wrong; download it again';

/**
 * Says what a file is if it is well known and neither safetensors nor JSON, and the way out; null otherwise.
 *
 * @param start the first bytes, {@link RECOGNIZED_BYTES} or all that there are
 * @param size the size of the whole file
 */
export function recognize(start: Uint8Array, size: number): string | null {
  if (size === 0) return 'the file is empty: download or copy it again';
  const bytes = start.subarray(0, RECOGNIZED_BYTES);
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  const kind = KINDS.find(([beginning]) => text.startsWith(beginning));
  if (kind) return kind[1];
  if (isPickle(bytes)) return PICKLED;
  return HTML.test(text.replace(/^\u00ef\u00bb\u00bf/, '')) ? WEB_PAGE : null;
}

/** A pickle of protocol 2 to 5 begins with its protocol and an opcode: a frame, a long integer, a container or a name. */
function isPickle([mark, protocol, opcode]: Uint8Array): boolean {
  return mark === 0x80 && protocol >= 2 && protocol <= 5 && [0x95, 0x8a, 0x7d, 0x5d, 0x28, 0x63, 0x58].includes(opcode);
}
