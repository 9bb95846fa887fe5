import { CheckpointError } from '../lib/errors.js';
import { show, sizeOf } from '../../reference/lib/tensor.js';
import { DTYPE_BITS } from './dtype.js';
import { isCount, isMapOf, isObject, isString } from '../lib/guards.js';
import { duplicateKey, hasLoneSurrogate, nesting } from '../lib/jsonText.js';
import { foreignMessage, quote } from '../lib/quote.js';

/** The largest header that the format allows, in bytes. */
export const MAX_HEADER = 100_000_000;

/** Three levels: the header object, a tensor's entry, and the shape in the entry. */
const MAX_NESTING = 3;

/** A header's entry for one tensor. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The offset of the first data byte, counted from the end of the header. */
  readonly begin: number;
  readonly bytes: number;
}

export interface Header {
  tensors: Map<string, TensorInfo>;
  /** Free text from the program that wrote the file. */
  metadata: Record<string, string>;
}

/**
 * Parses the JSON header of a safetensors file and checks every rule of the format.
 *
 * @param bytes the header, without its length prefix
 * @param dataBytes the number of bytes after the header
 * @param source the name of the file to use in messages
 * @throws CheckpointError that names the file, the tensor and the fault.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, source: string): Header {
  function fail(fault: string): never {
    throw new CheckpointError(`${source}: ${fault}`);
  }
  const json = parseJson(bytes, fail);
  let metadata: Record<string, string> = {};
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(json)) {
    if (name === '__metadata__') metadata = parseMetadata(entry, fail);
    else tensors.set(name, parseEntry(name, entry, dataBytes, fail));
  }
  checkLayout([...tensors.values()], dataBytes, fail);
  return { tensors, metadata };
}

type Fail = (fault: string) => never;

function parseJson(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  if (bytes[0] !== 0x7b) fail('the header does not begin with {');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('the header is not UTF-8');
  }
  // JSON.parse takes half a minute for a large header of nothing but brackets.
  if (nesting(text) > MAX_NESTING) fail(`the header nests lists or objects more than ${MAX_NESTING} deep`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail(`the header is not JSON: ${foreignMessage(error)}`);
  }
  if (!isObject(json)) return fail('the header is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== null) fail(`the header has ${quote(duplicate)} twice`);
  return json;
}

function parseMetadata(entry: unknown, fail: Fail): Record<string, string> {
  if (!isMapOf(entry, isString)) return fail('__metadata__ must map strings to strings');
  const broken = Object.entries(entry).flat().find(hasLoneSurrogate);
  if (broken !== undefined) fail(`__metadata__ has ${quote(broken)}, which is not valid Unicode`);
  return entry;
}

function parseEntry(name: string, entry: unknown, dataBytes: number, fail: Fail): TensorInfo {
  const tensor = `tensor ${quote(name)}`;
  if (hasLoneSurrogate(name)) fail(`${tensor} has a name that is not valid Unicode`);
  if (!isObject(entry)) return fail(`${tensor} is not described by a JSON object`);
  const { dtype, shape, data_offsets: offsets, ...unknown } = entry;
  if (Object.keys(unknown).length > 0) fail(`${tensor} has an unknown key ${quote(Object.keys(unknown)[0])}`);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BITS, dtype)) {
    return fail(`${tensor} has an unknown dtype ${quote(dtype)}`);
  }
  if (!isCounts(shape) || overflows(shape)) {
    return fail(`${tensor} has the shape ${quote(shape)}, which is not a valid list of sizes`);
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return fail(`${tensor} has the data_offsets ${quote(offsets)}, which are not [begin, end]`);
  }
  const [begin, end] = offsets;
  if (end > dataBytes) fail(`${tensor} ends at byte ${end} of the data, which has only ${dataBytes}`);
  const bytes = (sizeOf(shape) * DTYPE_BITS[dtype]) / 8;
  if (bytes !== end - begin) {
    fail(`${tensor} is ${dtype} ${show(shape)}, which takes ${bytes} bytes, but its data_offsets span ${end - begin}`);
  }
  return { name, dtype, shape, begin, bytes };
}

/** The tensors must cover all of the data without gaps or overlaps. */
function checkLayout(tensors: TensorInfo[], dataBytes: number, fail: Fail): void {
  let covered = 0;
  let previous = 'the header';
  for (const { name, begin, bytes } of tensors.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    if (begin < covered) fail(`tensor ${quote(name)} overlaps ${previous} by ${covered - begin} bytes`);
    if (begin > covered) {
      fail(`${begin - covered} bytes between ${previous} and tensor ${quote(name)} are not covered by any tensor`);
    }
    covered = begin + bytes;
    previous = `tensor ${quote(name)}`;
  }
  if (covered !== dataBytes) fail(`${dataBytes - covered} bytes after ${previous} are not covered by any tensor`);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => isCount(n) && !Object.is(n, -0));
}

/** Whether the bit count overflows at any step of the product, even if a later size of 0 would reset it. */
function overflows(shape: readonly number[]): boolean {
  let bits = 64; // of the largest element
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) return true;
  }
  return false;
}
