import * as v from 'valibot';
import { recognize } from './contents.js';
import { isMapOf, isObject } from './guards.js';
import { nesting } from './jsonText.js';
import { foreignMessage, quote } from './quote.js';
import { decodeUtf8, type TextSource } from './utf8.js';

/** The largest JSON file that is read, in bytes. */
export const MAX_JSON: number = 16 * 2 ** 20;
/** The same for `tokenizer.json`, which contains a whole vocabulary. */
export const MAX_TOKENIZER_JSON: number = 128 * 2 ** 20;

/** Far more than any format here needs, and far less than overflows the stack. */
const MAX_NESTING = 64;

/** Where JSON comes from. */
export type JsonSource = TextSource;

/** @throws Fault if a file is too large to be JSON of its kind. Checked before it is read. */
export function checkJsonSize(bytes: number, maxBytes: number, { path, Fault }: JsonSource): void {
  if (bytes <= maxBytes) return;
  throw new Fault(`${path} is larger than ${maxBytes / 2 ** 20} MiB, the limit for such a file`);
}

/**
 * Parses the bytes of a JSON file: strict UTF-8, of limited size and nesting. A leading byte order mark is skipped.
 *
 * @throws Fault that names the file and the fault.
 */
export function parseJson(bytes: Uint8Array, source: JsonSource, maxBytes: number = MAX_JSON): unknown {
  checkJsonSize(bytes.length, maxBytes, source);
  const known = recognize(bytes, bytes.length);
  if (known !== null) throw new source.Fault(`${source.path}: ${known}`);
  return parseJsonText(decodeUtf8(bytes, source), source);
}

/** Parses JSON text of limited nesting. */
export function parseJsonText(text: string, { path, Fault }: JsonSource): unknown {
  // JSON.parse takes half a minute for 100 MB of brackets.
  if (nesting(text) > MAX_NESTING) throw new Fault(`${path} nests lists or objects more than ${MAX_NESTING} deep`);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Fault(`${path} is not JSON: ${foreignMessage(error)}`);
  }
}

/**
 * Checks parsed JSON by a schema and returns it unchanged. The schema's messages complete a sentence that begins with the
 * place, such as `must be a string`.
 *
 * @throws Fault that names the file, the place, the fault and the value.
 */
export function checkJson<S extends v.GenericSchema>(
  schema: S,
  json: unknown,
  { path, Fault }: JsonSource,
): v.InferInput<S> {
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return json;
  const [issue] = result.issues;
  const keys = (issue.path ?? []).map(({ key }) => String(key));
  const place = keys.length === 0 ? 'it' : quote(keys.join('.'));
  const sentence = issue.input === undefined ? 'is missing' : `${issue.message}, got ${quote(issue.input)}`;
  throw new Fault(`${path}: ${place} ${sentence}`);
}

/** A schema of a JSON object with these keys and any others. valibot's own `looseObject` accepts lists. */
export function objectOf<E extends v.ObjectEntries>(
  entries: E,
  message: string,
): v.GenericSchema<v.InferInput<v.LooseObjectSchema<E, string>>> {
  const isAnyObject = v.custom<v.InferInput<v.LooseObjectSchema<E, string>>>(isObject, message);
  return v.pipe(isAnyObject, v.looseObject(entries, message));
}

/** A schema of a JSON object with any keys. valibot's own `record` leaves out keys such as `constructor`. */
export function mapOf<T>(isValue: (value: unknown) => value is T, message: string): v.GenericSchema<Record<string, T>> {
  return v.custom<Record<string, T>>((map) => isMapOf(map, isValue), message);
}
