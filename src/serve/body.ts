import { InputError } from '../../reference/lib/errors.js';
import { parseJsonText } from '../lib/json.js';
import { decodeUtf8 } from '../lib/utf8.js';
import { ApiError } from './apiError.js';

/** The largest body that is read, in bytes. */
export const MAX_BODY: number = 4 * 2 ** 20;

/**
 * Reads the JSON body of a request.
 *
 * @throws ApiError 415 for another type, 413 if it is too large, 400 if it is cut off or not JSON in UTF-8.
 */
export async function readBody(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type') ?? 'none';
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(415, `the content type must be application/json`, { code: 'unsupported_media_type' });
  }
  const bytes = await readLimited(request);
  try {
    const source = { path: 'the body', Fault: InputError };
    return parseJsonText(decodeUtf8(bytes, source), source);
  } catch (error) {
    if (error instanceof InputError) throw new ApiError(400, error.message, { code: 'invalid_json' });
    throw error;
  }
}

async function readLimited(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  const body: ReadableStream<Uint8Array> | null = request.body;
  const reader = body?.getReader();
  while (reader) {
    const { done, value } = await reader.read().catch((): never => {
      throw new ApiError(400, 'the body was cut off', { code: 'invalid_body' });
    });
    if (done) break;
    length += value.length;
    if (length > MAX_BODY) {
      reader.cancel().catch(() => undefined);
      throw tooLarge();
    }
    parts.push(value);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function tooLarge(): ApiError {
  return new ApiError(413, `the body is larger than ${MAX_BODY / 2 ** 20} MiB`, {
    code: 'body_too_large',
    headers: { connection: 'close' },
  });
}
