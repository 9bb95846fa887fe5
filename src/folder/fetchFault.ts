import { messageOf } from '../../reference/lib/errors.js';
import { visible } from '../lib/quote.js';

/** Codes of network errors that may go away if the request is sent again. */
const TRANSIENT_CODES = [
  ...['EAI_AGAIN', 'ECONNABORTED', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'],
  ...['EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETRESET', 'ENETUNREACH'],
  ...['UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
];

/** Describes why `fetch` failed, on one line. The message of its own error says only "fetch failed". */
export function describeFetchError(error: unknown): string {
  const cause = causeOf(error);
  const text = messageOf(cause) || (codeOf(cause) ?? '') || messageOf(error);
  return visible(text.slice(0, 300).trim());
}

/** Whether the same request may succeed later: not for an unknown host, a bad port or a bad certificate. */
export function isTransient(error: unknown): boolean {
  const code = codeOf(causeOf(error));
  return code !== undefined && TRANSIENT_CODES.includes(code);
}

/** The first error in a chain of causes. Attempts at several addresses of a host count as the first of them. */
function causeOf(error: unknown): unknown {
  let cause = error;
  for (let depth = 0; depth < 10; depth++) {
    const { errors, cause: next } = cause as { errors?: unknown; cause?: unknown };
    const inner = next ?? (Array.isArray(errors) ? (errors as unknown[])[0] : undefined);
    if (!(inner instanceof Error)) break;
    cause = inner;
  }
  return cause;
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
