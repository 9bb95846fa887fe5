import type { ByteSource } from '../../folder/byteSource.js';
import { CheckpointError } from '../../lib/errors.js';
import { quote } from '../../lib/quote.js';

/** A file in an archive: where its bytes begin in the archive, and how many there are. */
export interface ZipEntry {
  readonly offset: number;
  readonly size: number;
}

/** The largest list of files that is read, in bytes. PyTorch writes about 100 bytes for each storage. */
const MAX_DIRECTORY = 64 * 2 ** 20;

/** The end record, and the longest comment after it. */
const END_BYTES = 22;
const MAX_COMMENT = 65535;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;

const END = 0x06054b50;
const LOCATOR = 0x07064b50;
const END64 = 0x06064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

/** In 16 and 32 bits: the value is in a 64-bit field. */
const IN_ZIP64_16 = 0xffff;
const IN_ZIP64_32 = 0xffffffff;

/**
 * Lists the files of a zip archive whose files are stored without compression, as PyTorch writes them. Reads 64-bit sizes
 * (zip64). All positions and sizes are checked against the archive's size.
 *
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 *
 * @throws CheckpointError that names the archive and the fault.
 */
export async function listZip(source: ByteSource): Promise<Map<string, ZipEntry>> {
  function fail(fault: string): never {
    throw new CheckpointError(`${source.name}: ${fault}`);
  }
  async function read(offset: number, length: number, what: string): Promise<DataView> {
    if (offset < 0 || offset + length > source.size) fail(`the archive ends inside ${what}: copy or download it again`);
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset);
    return new DataView(bytes.buffer);
  }

  const { offset, size, count } = await findDirectory(source.size, read, fail);
  if (size > MAX_DIRECTORY) fail(`the list of files in the archive takes ${size} bytes, over the limit of 64 MiB`);
  const directory = await read(offset, size, 'its list of files');
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let n = 0; n < count; n++) {
    if (at + ENTRY_BYTES > size || directory.getUint32(at, true) !== ENTRY) {
      fail(`the list of files in the archive is damaged at file ${n}`);
    }
    const nameLength = directory.getUint16(at + 28, true);
    const extraLength = directory.getUint16(at + 30, true);
    const next = at + ENTRY_BYTES + nameLength + extraLength + directory.getUint16(at + 32, true);
    if (next > size) fail(`the list of files in the archive is damaged at file ${n}`);
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + ENTRY_BYTES, nameLength));
    if (entries.has(name)) fail(`the archive has ${quote(name)} twice`);
    if (directory.getUint16(at + 8, true) & 1) fail(`${quote(name)} in the archive is encrypted`);
    if (directory.getUint16(at + 10, true) !== 0) {
      fail(`${quote(name)} in the archive is compressed, which PyTorch never does: unpack it and zip it with zip -0`);
    }
    const sizes = {
      size: directory.getUint32(at + 24, true),
      stored: directory.getUint32(at + 20, true),
      header: directory.getUint32(at + 42, true),
    };
    readZip64(directory, at + ENTRY_BYTES + nameLength, extraLength, sizes, () =>
      fail(`the 64-bit sizes of ${quote(name)} in the archive are damaged`),
    );
    if (sizes.size !== sizes.stored) fail(`${quote(name)} in the archive has two sizes`);
    const local = await read(sizes.header, LOCAL_BYTES, quote(name));
    if (local.getUint32(0, true) !== LOCAL) fail(`${quote(name)} in the archive does not begin where it should`);
    const begin = sizes.header + LOCAL_BYTES + local.getUint16(26, true) + local.getUint16(28, true);
    if (begin + sizes.size > source.size) fail(`the archive ends inside ${quote(name)}: copy or download it again`);
    entries.set(name, { offset: begin, size: sizes.size });
    at = next;
  }
  return entries;
}

interface Directory {
  offset: number;
  size: number;
  count: number;
}

/** Finds the list of files from the record at the end of the archive. */
async function findDirectory(
  total: number,
  read: (offset: number, length: number, what: string) => Promise<DataView>,
  fail: (fault: string) => never,
): Promise<Directory> {
  const length = Math.min(total, END_BYTES + MAX_COMMENT);
  const tail = await read(total - length, length, 'its end');
  let at = length - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) fail('the end of the zip archive is missing: the file is cut off; copy or download it again');
  const end = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  if (end.count !== IN_ZIP64_16 && end.size !== IN_ZIP64_32 && end.offset !== IN_ZIP64_32) return end;
  const position = total - length + at - LOCATOR_BYTES;
  const locator = await read(position, LOCATOR_BYTES, 'its 64-bit end');
  if (locator.getUint32(0, true) !== LOCATOR) return end; // exactly 65535 files
  const end64 = await read(uint64(locator, 8), END64_BYTES, 'its 64-bit end');
  if (end64.getUint32(0, true) !== END64) fail('the 64-bit end of the zip archive is damaged');
  return { count: uint64(end64, 32), size: uint64(end64, 40), offset: uint64(end64, 48) };
}

/** Replaces sizes that do not fit in 32 bits by those of the zip64 extra field. */
function readZip64(
  view: DataView,
  start: number,
  length: number,
  sizes: { size: number; stored: number; header: number },
  fail: () => never,
): void {
  const wanted = (['size', 'stored', 'header'] as const).filter((key) => sizes[key] === IN_ZIP64_32);
  if (wanted.length === 0) return;
  let at = start;
  while (at + 4 <= start + length) {
    const id = view.getUint16(at, true);
    const bytes = view.getUint16(at + 2, true);
    if (id === 1) {
      if (bytes < 8 * wanted.length || at + 4 + bytes > start + length) fail();
      wanted.forEach((key, i) => {
        sizes[key] = uint64(view, at + 4 + 8 * i);
      });
      return;
    }
    at += 4 + bytes;
  }
  fail();
}

/** Reads 64 bits. Numbers over 2^53 lose digits, but no file is that long, so they are refused all the same. */
function uint64(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}
